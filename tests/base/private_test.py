"""Fails where an upgrade of a library changes what it keeps private."""

import gc
import importlib
import inspect
import pathlib
import re

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from doctest_test import NEED_BEAM
from layout_test import COMMANDS, FILES
from tensorflow.python.framework.func_graph import FuncGraph
from tiny_models import vector_networks

from nae_tf import Autoencoder
from nae_tf.base import private

LIBRARIES = ("keras", "tensorflow", "gin", "tensorflow_datasets")


def classes(module):
    name = f"nae_tf.{module}".removesuffix(".__init__")
    for value in vars(importlib.import_module(name)).values():
        if inspect.isclass(value) and value.__module__ == name:
            yield value


@pytest.mark.parametrize(
    # Commands define flags when they are imported.
    "module",
    [name for name in FILES if name not in {*COMMANDS, "base.private"}],
)
def test_no_class_replaces_a_private_part_of_a_library(module):
    if f"nae_tf.{module}" in NEED_BEAM:
        pytest.importorskip("apache_beam")
    replaced = [
        (each.__name__, name)
        for each in classes(module)
        for base in each.__mro__
        if base.__module__.partition(".")[0] in LIBRARIES
        for name in vars(each).keys() & vars(base).keys()
        if re.match("_[^_]", name)
    ]
    assert not replaced


class Doubles(private.HookedModel):
    """One weight, and what the hooks were called with."""

    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(1, use_bias=False)
        self.called = []
        self.secret = tf.Variable(1.0)

    def call(self, x):
        return self.layer(x)

    def build_for_fit(self, keras_build):
        assert not self.layer.built
        keras_build()
        self.called.append(self.layer.built)

    def saved_children(self, children, save_type):
        assert {"layer", "secret"} <= children.keys()
        if save_type == "checkpoint":
            return children
        return {k: v for k, v in children.items() if k != "secret"}


def test_keras_builds_by_the_hook():
    assert private.calls_build_for_fit()
    # Without a strategy Keras builds in the first step, and not before.
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = Doubles()
        model.compile("sgd", "mse")
    model.fit(np.ones([4, 2]), np.ones([4, 1]), verbose=0)
    assert model.called == [True]


@pytest.mark.parametrize(
    ("save", "is_saved"),
    [
        (
            lambda model, folder: tf.train.Checkpoint(model).save(
                str(folder / "checkpoint")
            ),
            True,
        ),
        (
            lambda model, folder: (
                tf.saved_model.save(model, str(folder)),
                str(folder / "variables" / "variables"),
            )[1],
            False,
        ),
    ],
    ids=["checkpoint", "saved model"],
)
def test_tensorflow_saves_what_the_hook_leaves(save, is_saved, tmp_path):
    model = Doubles()
    model(np.ones([1, 2]))
    names = [name for name, _ in tf.train.list_variables(save(model, tmp_path))]
    assert any("secret" in name for name in names) == is_saved
    assert any("layer" in name for name in names)


def test_all_layers_are_those_of_inner_models_too():
    inner = keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])
    outer = keras.Sequential([keras.Input([2]), inner, keras.layers.ReLU()])
    found = private.all_layers(outer)
    for layer in (outer, inner, inner.layers[0], outer.layers[1]):
        assert sum(each is layer for each in found) == 1


def test_steps_are_counted_while_gradients_are_accumulated():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    weight = keras.Variable(1.0)
    optimizer.build([weight])
    for _ in range(4):
        optimizer.apply([tf.constant(1.0)], [weight])
    assert int(private.step_counter(optimizer)) == 4
    assert int(optimizer.iterations) == 1


def two_steps(apply, scales_loss):
    """Weights after two steps in a graph, and what operations it has."""
    optimizer = inner = keras.optimizers.Adam(0.1)
    if scales_loss:
        optimizer = keras.optimizers.LossScaleOptimizer(inner)
    weights = [keras.Variable([1.0, 2.0]), keras.Variable(3.0)]
    optimizer.build(weights)

    @tf.function
    def step():
        gradients = [tf.constant([0.5, -1e3]), tf.constant(7.0)]
        apply(optimizer, zip(gradients, weights, strict=True))

    step()
    step()
    assert "_all_reduce_sum_gradients" not in vars(inner)
    graph = step.get_concrete_function().graph.as_graph_def()
    inner_nodes = [node for f in graph.library.function for node in f.node_def]
    operations = {node.op for node in [*graph.node, *inner_nodes]}
    return np.concatenate([np.ravel(weight) for weight in weights]), operations


@pytest.mark.parametrize("scales_loss", [False, True])
def test_one_replica_needs_no_sum_over_replicas(scales_loss):
    expected, theirs = two_steps(
        lambda optimizer, updates: optimizer.apply_gradients(updates),
        scales_loss,
    )
    weights, ours = two_steps(private.apply_on_one_replica, scales_loss)
    np.testing.assert_array_equal(weights, expected)
    # What has a gradient of its own.
    assert "IdentityN" in theirs and "IdentityN" not in ours


def test_a_model_that_was_fitted_leaves_no_graph():
    def graphs():
        gc.collect()
        return [
            each
            for each in gc.get_objects()
            if isinstance(each, FuncGraph) and "one_step" in each.name
        ]

    before = len(graphs())
    model = Autoencoder(*vector_networks())
    model.compile("adam")
    model.fit(np.zeros([8, 4]), verbose=0)
    del model
    assert len(graphs()) <= before


def test_names_begin_anew_and_go_on_afterwards():
    """So that TensorFlow keeps no name for each model that is built."""

    def names():
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
        return [layer.name, *(weight.path for weight in layer.weights)]

    before = names()
    with private.names_from_the_start():
        first, second = names(), names()
        keras.layers.Dense(1)
    with private.names_from_the_start():
        assert names() == first
    assert first == ["dense", "dense/kernel", "dense/bias"]
    assert second[0] == "dense_1"
    after = names()
    assert after not in (before, first, second)
    count = int(before[0].partition("_")[2] or 0)
    assert after[0] == f"dense_{count + 1}"


class Counter(private.SavedAsTensors):
    def __init__(self, count):
        super().__init__()
        self.count = tf.Variable(count)

    def tensors_to_save(self):
        return {"twice": 2 * self.count}

    def restore_tensors(self, tensors):
        self.count.assign(tensors["twice"] // 2)


def test_a_module_is_saved_as_its_tensors(tmp_path):
    path = tf.train.Checkpoint(counter=Counter(21)).save(str(tmp_path / "c"))
    reader = tf.train.load_checkpoint(path)
    saved = [
        reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "twice" in name
    ]
    assert saved == [42]
    again = Counter(0)
    tf.train.Checkpoint(counter=again).restore(path).assert_consumed()
    assert int(again.count) == 21


def test_a_function_apart_is_called_and_not_copied():
    function = private.function_apart(lambda x: tf.math.erf(x))

    @tf.function
    def caller(x):
        return function(x) + function(x)

    x = tf.constant(0.5)
    assert float(caller(x)) == pytest.approx(2 * 0.5204998778)
    graph = caller.get_concrete_function(x).graph
    calls = [op for op in graph.get_operations() if "Call" in op.type]
    assert len(calls) == 2
    [definition] = {op.get_attr("f").name for op in calls}
    attributes = graph.as_graph_def().library.function
    [noinline] = [f for f in attributes if f.signature.name == definition]
    assert noinline.attr["_noinline"].b


@gin.register(module="private_test")
def configurable(value=0):
    return value


@pytest.fixture
def clean_gin():
    gin.clear_config()
    yield
    gin.clear_config()


def test_gin_looks_for_files_where_the_list_says(clean_gin, tmp_path):
    (tmp_path / "values.gin").write_text("configurable.value = 3")
    path = private.gin_search_path()
    path.insert(0, str(tmp_path))
    try:
        gin.parse_config_file("values.gin")
    finally:
        path.remove(str(tmp_path))
    assert gin.get_configurable(configurable)() == 3


def test_gin_tells_what_the_bindings_refer_to(clean_gin):
    gin.parse_config(
        "configurable.value = [@inner/configurable(), %number]\nnumber = 1"
    )
    names = set(private.gin_references())
    assert {"inner/configurable", "number/gin.macro"} <= names


def test_gin_tells_what_is_registered():
    assert private.gin_configurables()["configurable"] is configurable


def test_a_builder_reads_by_another_download_manager():
    datasets = pytest.importorskip("tensorflow_datasets")
    assert inspect.isfunction(
        datasets.core.GeneratorBasedBuilder._split_generators
    )

    class Builder:
        def _split_generators(self, manager):
            return f"read by {manager}"

    builder = Builder()
    private.replace_download_manager(builder, lambda manager: f"not {manager}")
    assert builder._split_generators("one") == "read by not one"


def test_the_file_names_the_versions_that_were_tried():
    text = pathlib.Path(private.__file__).read_text().partition('"""\n\n')[0]
    for library in (keras, tf):
        assert library.__version__ in text


def test_an_older_file_of_keras_is_told_while_it_is_written(tmp_path):
    class Model(keras.Sequential):
        def get_config(self):
            told.append(private.is_saving_older_file())
            return super().get_config()

    told = []
    for name in ("model.h5", "model.keras"):
        keras.saving.save_model(Model([keras.Input([2])]), tmp_path / name)
    assert told[0] and told[-1] is False
