"""The private parts of other libraries that this package uses.

They may change without notice. They were tried with Keras 3.15.0 and 3.15.1,
TensorFlow 2.16.2 and 2.21.0, gin-config 0.5.0 and tensorflow-datasets 4.9.9 and
4.9.10. After an upgrade, read this file and run `tests/base/private_test.py`.
"""

import contextlib
import functools
from collections.abc import Callable

import gin
import keras
import tensorflow as tf
from keras.src.backend.common import global_state

_NAME_COUNTS = "object_name_uids"
_OLDER_FILE = "use_legacy_config"

# --- Keras --------------------------------------------------------------------


class HookedModel(keras.Model):
    """A Keras model with public names for two of its private methods."""

    def build_for_fit(self, keras_build: Callable):
        """Build parts that are not built yet when `fit` or `evaluate` begins.

        Args:
            keras_build: function without arguments by which Keras does this.
        """
        keras_build()

    def saved_children(self, children: dict, save_type: str) -> dict:
        """Choose the attributes of the model that TensorFlow saves.

        Args:
            children: attributes that TensorFlow would save, by name.
            save_type: "checkpoint" or "savedmodel".

        Returns:
            The attributes to save, by name.
        """
        return children

    def _maybe_symbolic_build(self, *args, **kwargs):
        keras_build = super()._maybe_symbolic_build
        self.build_for_fit(functools.partial(keras_build, *args, **kwargs))

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        children = super()._trackable_children(save_type, **kwargs)
        return self.saved_children(children, save_type)


def calls_build_for_fit() -> bool:
    """Return whether this Keras calls `HookedModel.build_for_fit`."""
    return hasattr(keras.Model, "_maybe_symbolic_build")


def all_layers(model: keras.Model) -> list:
    """Return a model and all layers in it, nested models included."""
    return list(model._flatten_layers())


def is_saving_older_file() -> bool:
    """Return whether Keras is writing or reading a model's older `.h5` file."""
    return bool(global_state.get_global_attribute(_OLDER_FILE))


def start_at_epoch(model: keras.Model, epoch: int):
    """Have the `fit` that has just begun start at an epoch, from 0.

    As `keras.callbacks.BackupAndRestore` does; called in `on_train_begin`.
    """
    model._initial_epoch = epoch


def step_counter(optimizer: keras.optimizers.Optimizer):
    """Return an optimizer's count of training steps, an int variable.

    `iterations` counts updates. It does not change while gradients are
    accumulated.
    """
    return optimizer._iterations


@contextlib.contextmanager
def names_from_the_start():
    """Let Keras name layers and variables as in a new process.

    Keras counts its names through a process: dense, dense_1, ... TensorFlow
    keeps some 35 KiB for each name that a variable ever had, so models that are
    built again and again would fill the memory. Afterwards the count goes on
    as if nothing had been named.
    """
    counts = global_state.get_global_attribute(_NAME_COUNTS)
    global_state.set_global_attribute(_NAME_COUNTS, None)
    try:
        yield
    finally:
        global_state.set_global_attribute(_NAME_COUNTS, counts)


def apply_on_one_replica(optimizer: keras.optimizers.Optimizer, updates):
    """Apply gradients on the only replica, without a sum over replicas.

    Keras takes that sum of one, too, by a function with a gradient of its own.
    TensorFlow keeps this gradient for good, and with it the graph of the step:
    each model that is fitted would leave one behind.

    Args:
        optimizer: optimizer, which may scale losses for another one.
        updates: pairs of a gradient and its variable.
    """
    summing = getattr(optimizer, "inner_optimizer", optimizer)
    vars(summing)["_all_reduce_sum_gradients"] = list
    try:
        optimizer.apply_gradients(updates)
    finally:
        del vars(summing)["_all_reduce_sum_gradients"]


# --- TensorFlow ---------------------------------------------------------------


class SavedAsTensors(tf.Module):
    """A module that computes the tensors that a checkpoint holds of it."""

    def tensors_to_save(self) -> dict:
        """Return the tensors that a checkpoint holds, by name."""
        raise NotImplementedError

    def restore_tensors(self, tensors: dict):
        """Restore the state from the result of `tensors_to_save`."""
        raise NotImplementedError

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        return {}

    def _serialize_to_tensors(self):
        return self.tensors_to_save()

    def _restore_from_tensors(self, restored_tensors):
        self.restore_tensors(restored_tensors)


def function_apart(function: Callable):
    """Compile a function into a graph of its own, inlined into no other."""
    return tf.function(
        function, autograph=False, experimental_attributes={"_noinline": True}
    )


# --- gin ----------------------------------------------------------------------


def gin_search_path() -> list[str]:
    """Return the list of folders that gin searches, which can be changed.

    gin itself can only append to it.
    """
    return gin.config._LOCATION_PREFIXES


def gin_references() -> list[str]:
    """Return the names that parsed bindings refer to, such as "scope/Name"."""
    return [
        reference.scoped_selector
        for reference in gin.config.iterate_references(gin.config._CONFIG)
    ]


def gin_configurables() -> dict[str, Callable]:
    """Return all registered functions and classes, by name without module."""
    return {
        selector.split(".")[-1]: configurable.wrapped
        for selector, configurable in gin.config._REGISTRY.items()
    }


# --- tensorflow-datasets ------------------------------------------------------


def replace_download_manager(builder, replace: Callable):
    """Replace the download manager of a builder of tensorflow-datasets.

    Args:
        builder: a `tensorflow_datasets.core.DatasetBuilder`, changed in place.
        replace: function of the builder's download manager that returns the new
            one.
    """
    split_generators = builder._split_generators
    builder._split_generators = lambda manager: split_generators(
        replace(manager)
    )


# --- apache-beam --------------------------------------------------------------


def fields_of_row(row) -> dict:
    """Return the fields of a `beam.Row` by name.

    Behind a shuffle a row is a named tuple, which has no other method of that.
    """
    return row._asdict()
