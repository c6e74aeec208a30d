"""Values and models that Keras writes into `.keras` files and reads back.

A config, in the words of Keras, is the arguments of a constructor by name. The
names are those of the constructor's signature.
"""

import inspect

import keras

_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Serializable:
    """Mixin for a value whose attributes are its constructor's arguments."""

    def get_config(self):
        """Return the constructor's arguments, serialised."""
        return serialize_arguments(self)

    @classmethod
    def from_config(cls, config):
        """Rebuild the value from `get_config`."""
        return cls(**deserialize_arguments(config))


def argument_names(kind: type) -> list[str]:
    """Return the names of the arguments of a class's constructor.

    If a constructor takes `**kwargs`, the arguments of its base are included.

    Args:
        kind: the class.

    Example:
        >>> from nae_tf.base.saving import argument_names
        >>> class Base:
        ...     def __init__(self, name=None): ...
        >>> class Derived(Base):
        ...     def __init__(self, units, **kwargs): ...
        >>> argument_names(Derived)
        ['units', 'name']
    """
    names: dict[str, None] = {}  # A set that keeps the order.
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        signature = inspect.signature(vars(base)["__init__"])
        _, *parameters = signature.parameters.values()
        starred = {p.name for p in parameters if p.kind in _STARRED}
        names |= {p.name: None for p in parameters if p.name not in starred}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return list(names)


def arguments_of_call(kind: type, args, kwargs) -> dict:
    """Return the arguments of a constructor's call by name, with defaults.

    Args:
        kind: class whose constructor is called.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.

    Example:
        >>> from nae_tf.base.saving import arguments_of_call
        >>> class Layer:
        ...     def __init__(self, units, bias=True, **kwargs): ...
        >>> arguments_of_call(Layer, [3], {"name": "dense"})
        {'units': 3, 'bias': True, 'name': 'dense'}
    """
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    try:
        bound = signature.bind_partial(None, *args, **kwargs)
    except TypeError:
        return {}  # The constructor itself says what is wrong.
    bound.apply_defaults()
    _, *named = bound.arguments.items()
    arguments = dict(named)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name)
    return arguments


def serialize_arguments(instance, **values) -> dict:
    """Return the arguments of an instance's constructor, serialised.

    Args:
        instance: object with an attribute for every argument.
        **values: arguments that are not attributes, by name.
    """
    names = argument_names(type(instance))
    return {
        name: keras.saving.serialize_keras_object(
            values[name] if name in values else getattr(instance, name)
        )
        for name in names
    }


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
