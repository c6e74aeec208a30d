"""Dataclasses that Keras can write into a `.keras` file and read back."""

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
    """Deserialise the values of a config, one constructor argument each."""
    return {
        name: keras.saving.deserialize_keras_object(value)
        for name, value in config.items()
    }
