"""Checks of the networks that a model is given, before it is built."""

import keras
import tensorflow as tf


def check_network(owner: str, name: str, network):
    """Refuse what is not a Keras network of one input.

    Args:
        owner: name of the model, used in the message.
        name: name of the network's argument.
        network: value of the argument.

    Raises:
        ValueError: if it is something else.
    """
    if not isinstance(network, keras.Layer):
        what = (
            f"the class {network.__name__}"
            if isinstance(network, type)
            else f"a {type(network).__name__}"
        )
        raise ValueError(
            f"{owner}: expected {name} a Keras model or layer, received {what}"
            "; make a keras.Sequential of its layers, or a keras.Layer whose "
            "call it is."
        )
    shape = getattr(network, "input_shape", None)
    if isinstance(shape, (dict, list)):
        raise ValueError(
            f"{owner}: expected {name} a network of one input, received one of "
            f"{len(shape)} inputs; join them by keras.layers.Concatenate."
        )


def only_output(owner: str, name: str, outputs):
    """Return the output of a network.

    Args:
        owner: name of the model, used in the message.
        name: name of the network's argument.
        outputs: what the network returned.

    Raises:
        ValueError: if there are several.
    """
    if isinstance(outputs, dict) and len(outputs) == 1:
        raise ValueError(
            f"{owner}: expected {name} a network that returns a tensor, "
            f"received one that returns a dictionary of one; pass "
            f"keras.Model({name}.inputs, {name}.outputs[0])."
        )
    if isinstance(outputs, (dict, list, tuple)):
        raise ValueError(
            f"{owner}: expected {name} a network of one output, received one "
            f"of {len(outputs)} outputs; pass keras.Model({name}.inputs, "
            f"{name}.outputs[0]) for the first alone."
        )
    return outputs


def check_input(owner: str, decoder, latent):
    """Refuse a decoder that takes other latents than the encoder's.

    Args:
        owner: name of the model, used in the message.
        decoder: a network; one that is not built yet takes any latents.
        latent: the encoder's output, a symbolic tensor.

    Raises:
        ValueError: if the shapes differ.
    """
    shape = getattr(decoder, "input_shape", None)
    if shape is None or tf.TensorShape(shape).is_compatible_with(latent.shape):
        return
    raise ValueError(
        f"{owner}: expected a decoder of the encoder's latents, which have the "
        f"shape {list(latent.shape[1:])}, received one that takes "
        f"{list(shape[1:])}; give both one latent_dim."
    )
