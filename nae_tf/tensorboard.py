"""What TensorBoard shows of a run."""

import keras
import tensorflow as tf

from nae_tf.io_errors import one_line_io_errors

# TensorBoard tag of every figure that has not simply its own name.
_TAGS = {
    "positive_energy": "energy/positive",
    "negative_energy": "energy/negative",
    "energy_gap": "energy/gap",
    "latent_gradient_norm": "chain/latent/gradient_norm",
    "visible_gradient_norm": "chain/visible/gradient_norm",
    "visible_acceptance": "chain/visible/acceptance",
    "visible_fraction_at_bound": "chain/visible/fraction_at_bound",
    "val_positive_energy": "validation/energy/positive",
    "val_reconstruction_error": "validation/reconstruction_error",
    "val_loss": "validation/loss",
}


class TensorBoardScalars(keras.callbacks.Callback):
    """Write every epoch's figures to TensorBoard, by training step."""

    def __init__(self, directory, phase: str):
        """Write events of this phase below `directory`."""
        super().__init__()
        self.directory = directory / phase

    def on_train_begin(self, logs=None):
        """Open the event file."""
        with self._one_line_errors():
            self.writer = tf.summary.create_file_writer(str(self.directory))
            self.writer.init()

    def on_epoch_end(self, epoch, logs=None):
        """Write the figures of `logs`."""
        step = int(self.model.optimizer.iterations.numpy())
        with self._one_line_errors():
            with self.writer.as_default(step):
                for name, value in logs.items():
                    tf.summary.scalar(_TAGS.get(name, name), value)
            self.writer.flush()

    def on_train_end(self, logs=None):
        """Close the event file."""
        self.writer.close()

    def _one_line_errors(self):
        return one_line_io_errors(
            f"cannot write TensorBoard's events into {str(self.directory)!r}",
            "Make room or mend the directory, then continue with --resume.",
        )
