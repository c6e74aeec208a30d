"""Exact resume for `fit`, of any Keras model."""

import os
import pathlib

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.pipelines import untuned
from nae_tf.base.private import start_at_epoch
from nae_tf.base.setting_checks import check_integer
from nae_tf.runs.checkpoints import CheckpointDirectory, Progress

_WEIGHTS, _OTHERS = ".weights.h5", ".seeds.npz"


class ExactResume(keras.callbacks.Callback):
    """Go on with a killed `fit` as if it had not been killed, bit for bit.

    Keras's `BackupAndRestore` restores the model. Two things it does not: the
    order of the data, which Keras draws anew, and a file that was being written
    when the process ended. This callback gives the data an order by seed and
    epoch, and writes checkpoints that are whole or not there.

    States of other callbacks, such as the patience of `EarlyStopping`, begin
    anew.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import tempfile
        >>> from nae_tf.training import ExactResume
        >>> x = np.random.default_rng(0).normal(size=(20, 3))
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
        >>> model.compile("adam", "mse")
        >>> resume = ExactResume(tempfile.mkdtemp())
        >>> batches = resume.batches((x, x), batch_size=5)
        >>> history = model.fit(
        ...     batches, epochs=2, callbacks=[resume], verbose=0
        ... )
        >>> len(history.epoch)
        2
        >>> again = model.fit(batches, epochs=2, callbacks=[resume], verbose=0)
        >>> len(again.epoch)  # Nothing is left to do.
        0
    """

    def __init__(self, directory: str | os.PathLike):
        """Resume from, and save into, a directory.

        Args:
            directory: directory of the checkpoints of this training alone. The
                last two are kept.
        """
        super().__init__()
        self._directory = CheckpointDirectory(pathlib.Path(directory))
        # Read when an epoch's first batch is drawn.
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)

    def batches(self, data, batch_size: int = 32, seed: int = 0):
        """Return batches whose order depends on seed and epoch alone.

        Args:
            data: array [num_examples, ...], or a tuple of arrays, as `fit`
                takes them of a dataset.
            batch_size: examples per batch, > 0; the last may be smaller.
            seed: seed of the order, int.

        Returns:
            `tf.data.Dataset` of one epoch, for the argument `x` of `fit`.

        Raises:
            ValueError: if the batch size is out of range.
        """
        check_integer("ExactResume.batches", "batch_size", batch_size, 1)
        count = len(tf.nest.flatten(data)[0])
        arrays = tf.nest.map_structure(
            lambda array: tf.convert_to_tensor(np.asarray(array)), data
        )

        def order(_):
            epoch_seed = tf.stack([tf.constant(seed, tf.int64), self._epoch])
            return tf.random.experimental.stateless_shuffle(
                tf.range(count), epoch_seed
            )

        def rows(index):
            return tf.nest.map_structure(
                lambda array: tf.gather(array, index), arrays
            )

        return untuned(
            tf.data.Dataset.range(1)
            .map(order)
            .unbatch()
            .batch(batch_size)
            .map(rows)
            .apply(
                tf.data.experimental.assert_cardinality(-(-count // batch_size))
            )
        )

    def on_train_begin(self, logs=None):
        """Restore the newest checkpoint, if there is one.

        Raises:
            ValueError: if it belongs to another model, or none is whole.
        """
        # Keras does not read the state of an optimizer that has none yet.
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        saved = self._directory.newest()
        if saved is None:
            return
        try:
            _State(self.model).read(saved.variables)
        except ValueError as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"the checkpoint {str(saved.path)!r} does not fit the model: "
                f"{reason}"
            ) from error
        start_at_epoch(self.model, saved.progress.epoch)

    def on_epoch_begin(self, epoch, logs=None):
        """Choose the order of the epoch."""
        self._epoch.assign(epoch)

    def on_epoch_end(self, epoch, logs=None):
        """Save the model.

        Raises:
            OSError: if the checkpoint cannot be written.
        """
        self._directory.save(_State(self.model), Progress(epoch=epoch + 1))


class _State:
    """What training needs of a model: Keras's file of weights, and seeds.

    Neither that file nor `tf.train.Checkpoint` holds the state of the random
    numbers of layers such as `Dropout`.
    """

    def __init__(self, model):
        weights = {id(weight) for weight in model.weights}
        self._model = model
        self._others = [v for v in model.variables if id(v) not in weights]

    def write(self, path: str):
        """Write the state to files of this name, with suffixes."""
        os.makedirs(os.path.dirname(path))
        self._model.save_weights(path + _WEIGHTS)
        np.savez(
            path + _OTHERS,
            *(keras.ops.convert_to_numpy(v) for v in self._others),
        )

    def read(self, path: str):
        """Read the state from the files that `write` wrote."""
        with np.load(path + _OTHERS) as values:
            if len(values) != len(self._others):
                raise ValueError(
                    f"expected {len(self._others)} seeds, received "
                    f"{len(values)}"
                )
            self._model.load_weights(path + _WEIGHTS)
            for variable, value in zip(
                self._others, values.values(), strict=True
            ):
                variable.assign(value)
