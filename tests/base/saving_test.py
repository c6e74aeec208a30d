import doctest
import json

import keras
import pytest
from tiny_models import vector_networks

from nae_tf import Autoencoder
from nae_tf.base import saving
from nae_tf.base.saving import Serializable, argument_names, arguments_of_call


class Base:
    def __init__(self, name=None, dtype=None):
        self.name, self.dtype = name, dtype


class Derived(Base):
    def __init__(self, units, *rest, scale=2.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.scale = units, scale


class Plain(Derived):
    """No constructor of its own."""


class Closed(Derived):
    def __init__(self, width):
        super().__init__(2 * width, name="closed")
        self.width = width


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Base, ["name", "dtype"]),
        (Derived, ["units", "scale", "name", "dtype"]),
        (Plain, ["units", "scale", "name", "dtype"]),
        (Closed, ["width"]),
    ],
)
def test_the_signature_has_the_names(kind, names):
    assert argument_names(kind) == names


def test_a_call_has_arguments_by_name():
    assert arguments_of_call(Derived, [3], {"name": "d"}) == {
        "units": 3,
        "rest": (),
        "scale": 2.0,
        "name": "d",
    }
    # Keras makes instances without arguments, too.
    assert arguments_of_call(Closed, [], {}) == {}
    assert arguments_of_call(Closed, [], {"widht": 3}) == {}


@keras.saving.register_keras_serializable(package="saving_test")
class Interval(Serializable):
    def __init__(self, low, high=1.0, closed=None):
        self.low, self.high, self.closed = low, high, closed


def test_a_value_comes_back_from_json():
    inner = Interval(0.5)
    text = json.dumps(
        keras.saving.serialize_keras_object(Interval(inner, closed="left"))
    )
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert (again.low.low, again.high, again.closed) == (0.5, 1.0, "left")


@keras.saving.register_keras_serializable(package="saving_test")
class Scaled(Autoencoder):
    """A method of a user, which passes on what it does not know."""

    def __init__(self, encoder, decoder, scale=1.0, **kwargs):
        self.scale = scale
        super().__init__(encoder, decoder, **kwargs)


def test_a_users_method_has_its_own_arguments_in_its_config(tmp_path):
    model = Scaled(*vector_networks(), scale=3.0, encoder_l2=0.5, name="mine")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is Scaled
    assert (loaded.scale, loaded.encoder_l2, loaded.name) == (3.0, 0.5, "mine")


def test_the_examples_hold():
    assert doctest.testmod(saving).failed == 0
