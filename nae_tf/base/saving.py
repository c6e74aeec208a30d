"""Values and models that Keras writes into `.keras` files and reads back."""

import dataclasses

import keras


class SerializableDataclass:
    """Mixin for a frozen dataclass: its fields are its Keras config."""

    def get_config(self):
        """Return the constructor's arguments, serialised."""
        return {
            field.name: keras.saving.serialize_keras_object(
                getattr(self, field.name)
            )
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild the value from `get_config`."""
        return cls(**deserialize_arguments(config))


def deserialize_arguments(config) -> dict:
    """Deserialise a config, whose values are constructor arguments."""
    return {
        name: keras.saving.deserialize_keras_object(value)
        for name, value in config.items()
    }


def rebuild(model_class, config):
    """Call a model's constructor and freeze the model if it was frozen.

    Args:
        model_class: class of the model.
        config: arguments of its constructor, and `trainable`, which older files
            lack.

    Returns:
        The model.
    """
    arguments = dict(config)
    trainable = arguments.pop("trainable", True)
    model = model_class(**arguments)
    if not trainable:
        # Never set to True: that would unfreeze the parts of the model.
        model.trainable = False
    return model
