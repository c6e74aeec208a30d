"""Private parts of other libraries: all those that this package relies on.

Nobody promised that they stay. They were tried with Keras 3.15.1, TensorFlow
2.21.0, gin-config 0.5.0 and tensorflow-datasets 4.9.10. After an upgrade, read
this file and run `tests/base/private_test.py`.
"""

import functools
from collections.abc import Callable

import gin
import keras
import tensorflow as tf

# --- Keras --------------------------------------------------------------------


class HookedModel(keras.Model):
    """A Keras model with public names for two of its private methods."""

    def build_for_fit(self, keras_build: Callable):
        """Build what is not built yet, when `fit` or `evaluate` begins.

        Args:
            keras_build: Keras's own way to do so, a function of no argument.
        """
        keras_build()

    def saved_children(self, children: dict, save_type: str) -> dict:
        """Choose among what TensorFlow would save of the model.

        Args:
            children: attributes by name.
            save_type: "checkpoint" or "savedmodel".

        Returns:
            What is saved.
        """
        return children

    def _maybe_symbolic_build(self, *args, **kwargs):
        keras_build = super()._maybe_symbolic_build
        self.build_for_fit(functools.partial(keras_build, *args, **kwargs))

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        children = super()._trackable_children(save_type, **kwargs)
        return self.saved_children(children, save_type)


def calls_build_for_fit() -> bool:
    """Whether this version of Keras calls `HookedModel.build_for_fit`."""
    return hasattr(keras.Model, "_maybe_symbolic_build")


def all_layers(model: keras.Model) -> list:
    """The layers of a model and of the models in it, itself included."""
    return list(model._flatten_layers())


def step_counter(optimizer: keras.optimizers.Optimizer):
    """An optimizer's count of training steps, an int variable.

    `iterations` counts updates. It does not change while gradients are
    accumulated.
    """
    return optimizer._iterations


# --- TensorFlow ---------------------------------------------------------------


class SavedAsTensors(tf.Module):
    """A module of which a checkpoint holds tensors that it computes itself."""

    def tensors_to_save(self) -> dict:
        """Return what a checkpoint holds, tensors by name."""
        raise NotImplementedError

    def restore_tensors(self, tensors: dict):
        """Take back what `tensors_to_save` returned."""
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
    """The folders in which gin looks for files, a list that can be changed.

    gin itself can only append to it.
    """
    return gin.config._LOCATION_PREFIXES


def gin_references() -> list[str]:
    """Names of what the parsed bindings refer to, such as "scope/Name"."""
    return [
        reference.scoped_selector
        for reference in gin.config.iterate_references(gin.config._CONFIG)
    ]


def gin_configurables() -> dict[str, Callable]:
    """All that is registered, by its name without a module."""
    return {
        selector.split(".")[-1]: configurable.wrapped
        for selector, configurable in gin.config._REGISTRY.items()
    }


# --- tensorflow-datasets ------------------------------------------------------


def replace_download_manager(builder, replace: Callable):
    """Let a builder of tensorflow-datasets read what something else finds.

    Args:
        builder: `tensorflow_datasets.core.DatasetBuilder`, changed in place.
        replace: maps the builder's download manager to what takes its place.
    """
    split_generators = builder._split_generators
    builder._split_generators = lambda manager: split_generators(
        replace(manager)
    )
