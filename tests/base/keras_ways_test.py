"""What Keras's own methods do on a detector."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import image_networks, short_sampler, vector_networks

from nae_tf import NAE, Autoencoder
from nae_tf.base.keras_ways import OutlierScore

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


def detector():
    keras.utils.set_random_seed(0)
    return Autoencoder(*vector_networks())


def energies(model, x):
    """Mean squared errors, by the networks themselves."""
    z = model.encoder(x)
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    return np.mean((x - model.decoder(z)) ** 2, axis=1)


def test_scores_are_of_the_networks_as_they_are():
    model = detector()
    scores = [model.predict_outlier_score(X)]
    model.encoder.quantize("int8")
    scores.append(model.predict_outlier_score(X))
    np.testing.assert_allclose(scores[-1], energies(model, X), rtol=1e-5)
    model.decoder.pop()
    model.decoder.add(keras.layers.Dense(4, bias_initializer="ones"))
    scores.append(model.predict_outlier_score(X))
    np.testing.assert_allclose(scores[-1], energies(model, X), rtol=1e-5)
    assert np.abs(np.diff(scores, axis=0)).max(axis=1).min() > 1e-4


def test_quantizing_the_model_forgets_its_graphs():
    model = detector()
    before = model.predict_outlier_score(X)
    model.quantize("int8")
    after = model.predict_outlier_score(X)
    np.testing.assert_allclose(after, energies(model, X), rtol=1e-5)
    assert np.abs(after - before).max() > 1e-4


def test_samples_are_of_the_networks_as_they_are():
    keras.utils.set_random_seed(0)
    model = NAE(*vector_networks(), sampler=short_sampler())
    before = model.sample(5).x
    model.decoder.pop()
    model.decoder.add(keras.layers.Dense(4, bias_initializer="ones"))
    again = model.sample(5).x
    model.forget_graphs()
    np.testing.assert_array_equal(again, model.sample(5).x)
    assert np.abs(again - before).min() > 0


def test_graphs_are_kept_while_the_networks_stay_the_same():
    model = detector()
    model.predict_outlier_score(X)
    graphs = model._compiled_score
    model.encoder.layers[0].kernel.assign(np.ones([4, 8]))
    model.predict_outlier_score(X)
    assert model._compiled_score is graphs


def test_the_older_file_of_keras_is_refused(tmp_path):
    for name in ("model.h5", "model.hdf5"):
        with pytest.raises(ValueError, match=r"Autoencoder.save: .*'\.keras'"):
            detector().save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    # Keras's function calls no method of the model to save it.
    with pytest.raises(ValueError, match=r"Autoencoder.save: .*'\.keras'"):
        keras.saving.save_model(detector(), tmp_path / "model.h5")


def trained():
    model = NAE(*vector_networks(), sampler=short_sampler())
    model.compile("adam")
    model.fit(X, verbose=0)
    return model


def scored():
    model = Autoencoder(*vector_networks(built=False))
    model.predict_outlier_score(X)
    return model


def loaded(tmp_path):
    detector().save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("kind", ["new", "fitted", "scored", "loaded"])
def test_export_needs_no_call_before(kind, tmp_path):
    model = {
        "new": detector,
        "fitted": trained,
        "scored": scored,
        "loaded": lambda: loaded(tmp_path),
    }[kind]()
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_allclose(served.serve(X), model(X), atol=1e-6)


def run_litert(path):
    interpreter = tf.lite.Interpreter(str(path))
    (examples,), (scores,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.resize_tensor_input(examples["index"], X.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(examples["index"], X)
    interpreter.invoke()
    return interpreter.get_tensor(scores["index"])


def run_onnx(path):
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: X})[0]


def run_openvino(path):
    openvino = pytest.importorskip("openvino")
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(path, "CPU", precision)(X)[0]


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize(
    ("kind", "suffix", "run", "package"),
    [
        ("litert", ".tflite", run_litert, "tensorflow"),
        ("onnx", ".onnx", run_onnx, "tf2onnx"),
        ("openvino", ".xml", run_openvino, "openvino"),
    ],
)
def test_keras_exports_scores_and_reconstructions(
    kind, suffix, run, package, tmp_path
):
    pytest.importorskip(package)
    model = trained()
    for name, source, expected in (
        ("scores", model.score_model(), energies(model, X)),
        ("reconstructions", model, model(X)),
    ):
        path = tmp_path / f"{name}{suffix}"
        source.export(str(path), format=kind, verbose=False)
        np.testing.assert_allclose(run(path), expected, atol=1e-6)


def test_the_score_model_answers_scores_wherever_it_goes(tmp_path):
    model = scored()
    scores = model.score_model()
    expected = energies(model, X)
    np.testing.assert_allclose(
        scores.predict(X, verbose=0), expected, rtol=1e-5
    )
    scores.save(tmp_path / "scores.keras")
    again = keras.saving.load_model(tmp_path / "scores.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), expected, rtol=1e-5)
    scores.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_allclose(served.serve(X), expected, rtol=1e-5)
    assert isinstance(scores.layers[-1], OutlierScore)


def test_a_model_without_weights_is_neither_exported_nor_shaped(tmp_path):
    model = Autoencoder(*vector_networks(built=False))
    for call in (lambda: model.export(tmp_path / "x"), model.score_model):
        with pytest.raises(ValueError, match="no weights to export yet; fit"):
            call()
    with pytest.raises(AttributeError, match="no weights yet, and no input_"):
        _ = model.input_shape


def test_shapes_are_those_of_a_batch():
    model = Autoencoder(*image_networks())
    assert model.input_shape == model.output_shape == (None, 12, 12, 1)


@pytest.fixture
def distribution():
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=["cpu:0"])
    )
    yield
    keras.distribution.set_distribution(None)


def test_keras_distribution_is_warned_of(distribution):
    model = detector()
    model.compile("adam")
    with pytest.warns(UserWarning, match=r"one device .* tf\.distribute"):
        model.fit(X, verbose=0)


# --- Dictionaries, as tensorflow-datasets has them ----------------------------


def dictionaries():
    columns = {"image": X, "label": np.arange(20)}
    return tf.data.Dataset.from_tensor_slices(columns).batch(8)


def test_the_examples_of_dictionaries_are_named():
    model = detector()
    model.compile("adam")
    expected = energies(model, X)
    for data in (dictionaries(), iter(dictionaries()), {"image": X}):
        np.testing.assert_allclose(
            model.predict_outlier_score(data, key="image"), expected, rtol=1e-5
        )
    for data in (dictionaries(), {"image": X}):
        error = model.evaluate(data, key="image", return_dict=True, verbose=0)[
            "reconstruction_error"
        ]
        np.testing.assert_allclose(error, expected.mean(), rtol=1e-5)
        np.testing.assert_allclose(
            model.predict(data, key="image", verbose=0),
            model.predict(X, verbose=0),
            rtol=1e-5,
        )
    history = model.fit(
        dictionaries().map(lambda x: (x, x["label"])),
        key="image",
        validation_data=dictionaries(),
        verbose=0,
    )
    assert "val_loss" in history.history


@pytest.mark.parametrize(
    "method", ["fit", "evaluate", "predict", "predict_outlier_score"]
)
@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        (dictionaries, {}, "dictionaries of 'image', 'label'; name one by key"),
        (dictionaries, {"key": "x"}, "name one by key, received key='x'"),
        (lambda: {"image": X}, {}, "dictionaries of 'image'; name one by key"),
        (lambda: X, {"key": "image"}, "received ndarray; leave key out"),
    ],
)
def test_a_key_that_does_not_fit_is_one_line(method, data, key, message):
    model = detector()
    model.compile("adam")
    quiet = {} if method == "predict_outlier_score" else {"verbose": 0}
    with pytest.raises(ValueError, match=message) as caught:
        getattr(model, method)(data(), **key, **quiet)
    assert "\n" not in str(caught.value)
