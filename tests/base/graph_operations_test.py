"""A SavedModel is opened if it has operations of exports, and no others.

Every test that opens an export, of any method and kind of input, holds the list
to be long enough; `compatibility_test.py` does so for exports of old.
"""

import re
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from nae_tf.base.graph_operations import ALLOWED, refused_operations
from nae_tf.evaluation.features import saved_model_features
from nae_tf.serving import ExportedModel, recalibrate
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.input_flags import open_model

# They keep a state, of variables, of random numbers or of their calls.
STATEFUL = re.compile(
    "Assert|Assign|Variable|VarHandle|Var(Is)?Init|Resource(Gather|Scatter)"
    "|DisableCopyOnRead|Random|Normal|Multinomial|RngRead|CheckNumerics"
    "|If$|Case$|While$|PartitionedCall$|TensorDataset|DatasetToSingleElement"
)
REACHING_OUT = [
    "CacheDatasetV2",
    "DataServiceDatasetV4",
    "DebugIdentityV3",
    "EagerPyFunc",
    "FixedLengthRecordDatasetV2",
    "HashTableV2",
    "ImmutableConst",
    "InitializeTableFromTextFileV2",
    "LoadDataset",
    "LookupTableFindV2",
    "MatchingFiles",
    "PrintV2",
    "PyFunc",
    "PyFuncStateless",
    "ReadFile",
    "RestoreV2",
    "SaveV2",
    "SqlDataset",
    "TFRecordDatasetV2",
    "TextLineDataset",
    "WholeFileReaderV2",
    "WriteFile",
    "WriteImageSummary",
    "no operation at all",
]


def test_no_allowed_operation_reaches_out():
    words = re.compile("file|path|address|protocol|url|directory|prefix|token")
    for name in ALLOWED:
        operation = op_def_registry.get(name)
        assert operation is not None, name
        parts = [*operation.input_arg, *operation.attr]
        assert not [part.name for part in parts if words.search(part.name)]
        assert not operation.is_stateful or STATEFUL.search(name), name


def operations(function, *shape):
    """Names of the operations of a function of vectors or images."""
    graph = (
        tf.function(function)
        .get_concrete_function(tf.TensorSpec((None, *shape)))
        .graph.as_graph_def()
    )
    nodes = list(graph.node)
    for inner in graph.library.function:
        nodes += inner.node_def
    return {node.op for node in nodes}


NETWORKS = {
    "images": (
        (8, 8, 3),
        [
            layers.Rescaling(2.0, -1.0),
            layers.Conv2D(4, 3, padding="same", activation="silu"),
            layers.GroupNormalization(2),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same", activation="gelu"),
            layers.BatchNormalization(),
            layers.AveragePooling2D(2),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.Conv2DTranspose(2, 3, activation="leaky_relu"),
            layers.ZeroPadding2D(),
            layers.GlobalAveragePooling2D(),
        ],
    ),
    "vectors": (
        (8,),
        [
            layers.Normalization(mean=0.0, variance=1.0),
            layers.Dense(8, "elu"),
            layers.LayerNormalization(),
            layers.Dropout(0.1),
            layers.Dense(8, "selu"),
            layers.UnitNormalization(),
            layers.Dense(8, "softplus"),
            layers.PReLU(),
            layers.Reshape((4, 2)),
            layers.Conv1D(3, 2, padding="causal", activation="mish"),
            layers.GRU(3),
            layers.Dense(4, "softmax"),
        ],
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_of_keras_and_their_gradients_are_allowed(name):
    shape, parts = NETWORKS[name]
    network = keras.Sequential([keras.Input(shape), *parts])

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            energy = tf.reduce_sum(tf.square(network(x)))
        return x - tape.gradient(energy, x)

    used = operations(step, *shape)
    assert len(used) > 30
    assert used <= ALLOWED


@pytest.fixture(scope="module")
def graph_of(exported_vectors):
    """The graph of an export, as a function without arguments."""
    data = (exported_vectors / "saved_model.pb").read_bytes()
    return lambda: saved_model_pb2.SavedModel.FromString(data)


def functions(meta_graph, name):
    """Functions of a graph whose names hold a word."""
    return [
        function
        for function in meta_graph.graph_def.library.function
        if name in function.signature.name
    ]


@pytest.mark.parametrize("place", ["main", "function"])
@pytest.mark.parametrize("operation", REACHING_OUT)
def test_an_operation_is_found_where_it_is(operation, place, graph_of):
    [meta_graph] = graph_of().meta_graphs
    assert refused_operations(meta_graph) == []
    nodes = meta_graph.graph_def.node
    if place == "function":
        nodes = functions(meta_graph, "sample")[0].node_def
    nodes.add(op=operation, name="added")
    assert refused_operations(meta_graph) == [operation]


def called_by_a_node(meta_graph, name):
    node = meta_graph.graph_def.node.add(op="PartitionedCall", name="added")
    node.attr["f"].func.name = name


def called_by_a_function(meta_graph, name):
    node = functions(meta_graph, "score")[0].node_def.add(op="Case")
    node.attr["branches"].list.func.add(name=name)


def offered_to_python(meta_graph, name):
    meta_graph.object_graph_def.concrete_functions[name].SetInParent()


def called_as_a_gradient(meta_graph, name):
    meta_graph.graph_def.library.gradient.add(
        function_name="f", gradient_func=name
    )


@pytest.mark.parametrize(
    "call",
    [
        called_by_a_node,
        called_by_a_function,
        offered_to_python,
        called_as_a_gradient,
    ],
)
@pytest.mark.parametrize("name", ["traced_save", "traced_restore"])
def test_functions_of_the_saver_serve_the_saver_alone(name, call, graph_of):
    [meta_graph] = graph_of().meta_graphs
    [saver] = functions(meta_graph, name)
    call(meta_graph, saver.signature.name)
    operation = "SaveV2" if name == "traced_save" else "RestoreV2"
    assert operation in refused_operations(meta_graph)


def openers(path, **options):
    """All ways to open a SavedModel, as functions without arguments."""
    flags = types.SimpleNamespace(model=str(path), trust_model=False)
    vars(flags).update(options)
    return [
        lambda: ExportedModel(path, **options),
        lambda: open_model(flags),
        lambda: saved_model_features(path, (4,), **options),
        lambda: recalibrate(path, Calibration(np.arange(9.0)), **options),
    ]


def add_an_operation(path):
    file = path / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    node = saved_model.meta_graphs[0].graph_def.node.add()
    node.op, node.name = "MatchingFiles", "added"
    node.input.append("pattern")
    pattern = saved_model.meta_graphs[0].graph_def.node.add()
    pattern.op, pattern.name = "Const", "pattern"
    pattern.attr["dtype"].type = tf.string.as_datatype_enum
    pattern.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(b"*"))
    file.write_bytes(saved_model.SerializeToString())


def name_an_asset_outside(path):
    file = path / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    saved_model.meta_graphs[0].asset_file_def.add().filename = "../../secret"
    file.write_bytes(saved_model.SerializeToString())


def link_a_file(path):
    file = path / "assets.extra" / "calibration.json"
    file.rename(path.parent / "secret")
    file.symlink_to(path.parent / "secret")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (add_an_operation, "no export needs its operation 'MatchingFiles'"),
        (name_an_asset_outside, "its asset '../../secret' is outside of it"),
        (link_a_file, "calibration.json' is a link that leads out of it"),
    ],
)
def test_whoever_opens_a_model_refuses_it_in_one_line(
    change, reason, exported_vectors, tmp_path
):
    path = tmp_path / "1"
    shutil.copytree(exported_vectors, path)
    change(path)
    for opened in openers(path):
        with pytest.raises(ValueError, match=re.escape(reason)) as caught:
            opened()
        assert "\n" not in str(caught.value)
        assert "--trust_model" in str(caught.value)
    assert sorted(file.name for file in tmp_path.iterdir()) in (
        ["1"],
        ["1", "secret"],
    )


def test_a_trusted_model_is_opened(exported_vectors, tmp_path):
    path = tmp_path / "1"
    shutil.copytree(exported_vectors, path)
    add_an_operation(path)
    link_a_file(path)
    x = np.zeros((2, 4), np.float32)
    expected = ExportedModel(exported_vectors).score(x)
    scores = ExportedModel(path, trust_model=True).score(x)
    np.testing.assert_array_equal(scores["energy"], expected["energy"])
    recalibrate(path, Calibration(np.arange(9.0)), trust_model=True)
