"""What TensorBoard shows of a run."""

import keras
import tensorflow as tf

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
        self.writer = tf.summary.create_file_writer(str(self.directory))

    def on_epoch_end(self, epoch, logs=None):
        """Write the figures of `logs`."""
        step = int(self.model.optimizer.iterations.numpy())
        with self.writer.as_default(step):
            for name, value in logs.items():
                tf.summary.scalar(_TAGS.get(name, name), value)
        self.writer.flush()

    def on_train_end(self, logs=None):
        """Close the event file."""
        self.writer.close()
