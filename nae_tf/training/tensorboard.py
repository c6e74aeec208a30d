"""TensorBoard's view of a run: metrics and pictures.

`TensorBoardScalars` opens one event file per phase. The other callbacks write
into it and come after it in the list of callbacks. Next: `hparams_tab`, which
compares runs.
"""

import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.data.image_arrays import pair_grid, square_grid
from nae_tf.data.selection import sample
from nae_tf.data.task import Task
from nae_tf.nae import NAE
from nae_tf.runs.disk import explain_write_errors

# TensorBoard tags of metrics whose tag is not their name.
_TAGS = {
    "positive_energy": "energy/positive",
    "negative_energy": "energy/negative",
    "energy_gap": "energy/gap",
    "latent_gradient_norm": "chain/latent/gradient_norm",
    "visible_gradient_norm": "chain/visible/gradient_norm",
    "visible_acceptance": "chain/visible/acceptance",
    "visible_fraction_at_bound": "chain/visible/fraction_at_bound",
    "sample_gap": "samples/energy_gap",
    "sample_distance": "samples/distance",
    "replay_buffer_age": "replay_buffer/age",
    "replay_buffer_diversity": "replay_buffer/diversity",
    "val_positive_energy": "validation/energy/positive",
    "val_reconstruction_error": "validation/reconstruction_error",
    "val_loss": "validation/loss",
}


class TensorBoardScalars(keras.callbacks.Callback):
    """Write the metrics of every epoch to TensorBoard, by training step."""

    def __init__(self, directory, phase: str):
        """Prepare the event file.

        Args:
            directory: directory of the event files of all phases.
            phase: name of the phase.
        """
        super().__init__()
        self.directory = directory / phase

    def on_train_begin(self, logs=None):
        """Open the event file."""
        with self.explain_errors():
            self.writer = tf.summary.create_file_writer(str(self.directory))
            self.writer.init()

    def on_epoch_end(self, epoch, logs=None):
        """Write the metrics of `logs`."""
        step = int(self.model.optimizer.iterations.numpy())
        with self.explain_errors():
            with self.writer.as_default(step):
                for name, value in logs.items():
                    tf.summary.scalar(_TAGS.get(name, name), value)
            self.writer.flush()

    def on_train_end(self, logs=None):
        """Close the event file."""
        self.writer.close()

    def explain_errors(self):
        """Return a context that explains errors of writing in one line."""
        return explain_write_errors(
            f"cannot write TensorBoard's events into {str(self.directory)!r}",
            "continue with --resume",
        )


class TensorBoardPictures(keras.callbacks.Callback):
    """Write pictures and histograms of energies from time to time.

    The tag "samples/on_manifold" has first states of visible chains; for other
    samplers it is "samples/start". "samples/visible" has their last states.
    "reconstructions" has validation images over their reconstructions.
    "energy_histogram/" has the energies of validation inliers, of selection
    outliers and of samples.
    """

    NUM_PICTURES = 36
    NUM_SCORES = 512

    def __init__(
        self,
        scalars: TensorBoardScalars,
        task: Task,
        interval: int,
        epochs: int,
        steps_per_epoch: int,
    ):
        """Prepare the pictures.

        Args:
            scalars: callback that has opened the event file of the phase.
            task: task with validation inliers and selection outliers.
            interval: number of training steps between two sets of pictures;
                they are written at the end of the epoch.
            epochs: number of epochs; the last one always has pictures.
            steps_per_epoch: steps per epoch.
        """
        super().__init__()
        self.scalars = scalars
        self.task = task
        self.interval = interval
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch

    def on_epoch_end(self, epoch, logs=None):
        """Draw, sample and score at the end of the chosen epochs."""
        step = int(self.model.optimizer.iterations.numpy())
        # After a resume the first epoch of `fit` has fewer steps than this.
        before = step - self.steps_per_epoch
        is_due = step // self.interval > before // self.interval
        if not is_due and epoch + 1 != self.epochs:
            return
        validation = self.task.validation
        examples = next(
            validation.batches(self.NUM_PICTURES).as_numpy_iterator()
        )
        sets = {"validation": validation, **self.task.selection}
        energies = {name: self._scores(sets[name]) for name in sets}
        pictures = {}
        if examples.ndim == 4 and isinstance(self.model, Autoencoder):
            reconstructions = self.model(examples).numpy()
            pictures["reconstructions"] = pair_grid(examples, reconstructions)
        if isinstance(self.model, NAE):
            negative = self.model.negative_samples(examples, epoch)
            scores = self.model.predict_outlier_score(negative.x)
            energies["negative"] = scores
            if examples.ndim == 4:
                latent = self.model.sampler.has_latent_chain
                start = "on_manifold" if latent else "start"
                pictures[f"samples/{start}"] = square_grid(negative.x0.numpy())
                pictures["samples/visible"] = square_grid(negative.x.numpy())
        with (
            self.scalars.explain_errors(),
            self.scalars.writer.as_default(step),
        ):
            for name, values in energies.items():
                tf.summary.histogram(f"energy_histogram/{name}", values)
            for name, picture in pictures.items():
                tf.summary.image(name, picture[None])
            # A checkpoint may follow, which stores the size of the file.
            self.scalars.writer.flush()

    def _scores(self, examples):
        some = sample(examples, self.NUM_SCORES)
        batches = some.batches(self.NUM_SCORES)
        return self.model.predict_outlier_score(batches)
