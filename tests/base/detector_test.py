"""The contract of every method, on a detector with a single weight."""

import logging
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf import Autoencoder
from nae_tf.base import randomness
from nae_tf.base.detector import OutlierDetector
from nae_tf.base.input_checks import as_batches, shape_checks


class DistanceToCenter(OutlierDetector):
    """Scores by the mean squared distance to a trained center."""

    value_range = (0.0, 1.0)

    def __init__(self):
        super().__init__()
        self.track("loss", "spread")

    def build(self, input_shape):
        self.example_shape = tuple(input_shape[1:])
        self.center = self.add_weight(shape=self.example_shape, name="center")
        self.built = True

    def outlier_score(self, x):
        return tf.reduce_mean((x - self.center) ** 2, 1)

    def train_step(self, data):
        x = self.training_examples(data)
        with tf.GradientTape(persistent=True) as tape:
            score = self.outlier_score(x)
            loss = tf.reduce_mean(score)
        num_examples = tf.shape(x)[0]
        self.minimize(loss, tape, [self.center], num_examples)
        return self.update_means(num_examples, loss=loss, spread=score)

    def test_step(self, data):
        x = self.training_examples(data)
        score = self.outlier_score(x)
        return self.update_means(tf.shape(x)[0], loss=score, spread=score)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).uniform(size=(50, 3)).astype("float32")


def detector(center=(0.0, 0.5, 1.0), optimizer=None, **settings):
    model = DistanceToCenter()
    model.build([None, 3])
    model.center.assign(center)
    model.compile(optimizer or keras.optimizers.SGD(0.0), **settings)
    return model


def batches(x, batch_size=16):
    return tf.data.Dataset.from_tensor_slices(x).batch(batch_size)


# --- Scores -------------------------------------------------------------------


def test_scores_of_arrays_and_datasets_with_and_without_labels(x):
    model = detector()
    expected = np.mean((x - [0.0, 0.5, 1.0]) ** 2, 1)
    labels = np.zeros(len(x))
    for data in (x, x.astype("float64"), batches(x), batches((x, labels))):
        scores = model.predict_outlier_score(data, batch_size=16)
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert isinstance(scores, np.ndarray)


class Batches(keras.utils.PyDataset):
    """Three batches of 20, 20 and 10 examples, with labels."""

    def __init__(self, x, num_batches=3):
        super().__init__()
        self.x = x
        self._num_batches = num_batches

    @property
    def num_batches(self):
        return self._num_batches

    def __getitem__(self, index):
        batch = self.x[20 * index : 20 * (index + 1)]
        return batch, np.zeros(len(batch))


class Loader:
    """Batches that are iterated over, as of a PyTorch `DataLoader`."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return 5

    def __iter__(self):
        return iter(np.split(self.x, 5))


@pytest.mark.parametrize(
    "data",
    [
        Batches,
        Loader,
        lambda x: (x[start : start + 7] for start in range(0, 50, 7)),
        lambda x: iter(np.split(x, 5)),
        tf.constant,
        lambda x: x.tolist(),
        list,
    ],
    ids=[
        "PyDataset",
        "iterable",
        "generator",
        "iterator",
        "tensor",
        "nested list",
        "list of arrays",
    ],
)
def test_scores_of_whatever_holds_examples(x, data):
    scores = detector().predict_outlier_score(data(x), batch_size=16)
    expected = np.mean((x - [0.0, 0.5, 1.0]) ** 2, 1)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_scores_of_a_table(x):
    pandas = pytest.importorskip("pandas")
    scores = detector().predict_outlier_score(pandas.DataFrame(x))
    expected = np.mean((x - [0.0, 0.5, 1.0]) ** 2, 1)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_models_in_a_loop_bring_no_warnings_of_retracing(x):
    warned = []

    class Collect(logging.Handler):
        def emit(self, record):
            warned.append(record.getMessage())

    def trace():
        # What TensorFlow warns of: a function that is traced at every call.
        tf.function(lambda y: y + 1)(1.0)

    handler = Collect()
    tf.get_logger().addHandler(handler)
    try:
        for _ in range(7):
            model = detector()
            model.fit(x, verbose=0)
            model.evaluate(x, verbose=0)
            model.predict_outlier_score(x)
        assert not warned
        for _ in range(7):
            trace()
        assert "retracing" in warned[0]
    finally:
        tf.get_logger().removeHandler(handler)


def test_an_array_is_cut_into_batches(x):
    cut = list(as_batches(x, 16))
    assert [len(batch) for batch in cut] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate(cut), x)


def test_batches_without_an_end_are_refused(x):
    with pytest.raises(ValueError, match="give it a length"):
        detector().predict_outlier_score(Batches(x, None))
    with pytest.raises(ValueError, match="there are no examples"):
        detector().predict_outlier_score(iter([]))


def test_figures_of_fit_and_evaluate_are_means_over_the_examples(x):
    model = detector()
    # The last batch holds 2 of 50 examples.
    history = model.fit(x, batch_size=16, epochs=2, verbose=0).history
    expected = np.mean((x - [0.0, 0.5, 1.0]) ** 2)
    for name in ("loss", "spread"):
        np.testing.assert_allclose(history[name], [expected] * 2, rtol=1e-5)
    results = model.evaluate(x, batch_size=16, verbose=0, return_dict=True)
    np.testing.assert_allclose(results["spread"], expected, rtol=1e-5)


@pytest.mark.parametrize("scaled", [False, True])
def test_training_takes_the_optimizers_step(x, scaled):
    optimizer = keras.optimizers.SGD(0.3)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = detector(optimizer=optimizer)
    model.fit(x, batch_size=50, verbose=0)
    slope = 2 / 3 * np.mean([0.0, 0.5, 1.0] - x, axis=0)
    np.testing.assert_allclose(
        model.center, [0.0, 0.5, 1.0] - 0.3 * slope, rtol=1e-5
    )


@pytest.mark.parametrize("built", [False, True])
def test_training_goes_on_after_a_refused_batch(x, built, tmp_path):
    layers = [keras.layers.Dense(2), keras.layers.Dense(3)]
    inputs = [[keras.Input([size])] if built else [] for size in (3, 2)]
    encoder, decoder = (
        keras.Sequential([*first, layer])
        for first, layer in zip(inputs, layers, strict=True)
    )
    model = Autoencoder(encoder, decoder)
    model.compile("adam")
    # A shape would be taken for that of networks that have none yet.
    for refused in [(x * 255).astype("uint8"), *([x[:, :2]] if built else [])]:
        with pytest.raises(ValueError, match="Bad input"):
            model.fit(refused, verbose=0)
    model.fit(x, batch_size=10, epochs=2, verbose=0)
    assert model.optimizer.iterations == 10
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    loaded.fit(x, batch_size=10, verbose=0)
    assert loaded.optimizer.iterations == 15


def test_compile_lets_scores_follow_a_changed_setting(x):
    model = detector()
    np.testing.assert_array_equal(
        model.predict_outlier_score(x) > 0, np.ones(50)
    )
    model.outlier_score = lambda x: -x[:, 0]
    model.compile()
    np.testing.assert_array_equal(model.predict_outlier_score(x), -x[:, 0])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("run_eagerly", True), ("jit_compile", True), ("steps_per_execution", 3)],
)
def test_a_loaded_model_is_compiled_as_it_was(setting, value):
    model, loaded = detector(**{setting: value}), detector()
    assert getattr(loaded, setting) != value
    loaded.compile_from_config(model.get_compile_config())
    assert getattr(loaded, setting) == value


@pytest.mark.parametrize(
    ("devices", "fits"),
    [
        (["/device:CPU:0"], True),
        (["/device:CPU:0", "/device:CPU:1"], False),
        (["/device:GPU:0", "/device:GPU:1"], True),
    ],
)
def test_xla_is_refused_on_parts_of_a_cpu(devices, fits, monkeypatch):
    extended = types.SimpleNamespace(worker_devices=devices)
    strategy = types.SimpleNamespace(
        num_replicas_in_sync=len(devices), extended=extended
    )
    model = detector()
    monkeypatch.setattr(type(model), "distribute_strategy", strategy)
    model.compile(jit_compile=False)
    if fits:
        model.compile(jit_compile=True)
    else:
        with pytest.raises(ValueError, match="several parts of a CPU"):
            model.compile(jit_compile=True)


@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_clipping_is_refused_on_several_replicas(name, monkeypatch):
    model = detector()
    optimizer = keras.optimizers.SGD(0.1, **{name: 1.0})
    model.compile(optimizer)
    strategy = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(type(model), "distribute_strategy", strategy)
    refusal = f"without {name} on several replicas"
    for each in (optimizer, keras.optimizers.LossScaleOptimizer(optimizer)):
        with pytest.raises(ValueError, match=refusal):
            model.compile(each)
    model.compile("sgd")


def test_forgotten_graphs_are_traced_with_the_settings_of_now(x):
    model = detector()
    model.outlier_score = lambda x: 0 * x[:, 0] + model.seed
    for seed in (0, 3):
        model.seed = seed
        model.forget_graphs()
        assert set(model.predict_outlier_score(x)) == {seed}
        assert model.evaluate(x, verbose=0) == [seed, seed]


def test_labels_are_not_looked_at(x):
    labels = np.array(["a"] * 50)[:, None] == "a"
    detector().fit(x, labels, verbose=0)


# --- Shapes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "fits"),
    [
        ((8, 8, 1), True),
        ((5, 13, 1), True),
        ((8, 8, 3), False),
        ((8, 8, 11), False),
        ((8, 1), False),
    ],
)
def test_only_known_sizes_of_an_example_are_compared(example, fits):
    @tf.function(input_signature=[tf.TensorSpec(None)])
    def check(x):
        with tf.control_dependencies(shape_checks(x, (None, None, 1))):
            return tf.identity(x)

    images = np.zeros((6, *example), "float32")
    if fits:
        assert check(images).shape == images.shape
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="None, 1"):
            check(images)


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((8, 8, 1), r"x\[None\]"),
        ((6, 8, 8), r"x\[\.\.\., None\]"),
        # Rows of several images, which a dataset that is not batched gives.
        ((48, 8, 1), r"dataset\.batch"),
        ((6, 9, 8, 1), r"received \[6, 9, 8, 1\]\.$"),
    ],
)
def test_another_shape_is_refused_with_what_to_do(shape, remedy):
    with pytest.raises(ValueError, match=remedy):
        shape_checks(tf.zeros(shape), (8, 8, 1))


# --- Noise --------------------------------------------------------------------


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("accumulation", [None, 4])
def test_the_seed_of_the_noise_is_that_of_the_training_step(
    scaled, accumulation
):
    optimizer = keras.optimizers.SGD(
        0.1, gradient_accumulation_steps=accumulation
    )
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = detector(optimizer=optimizer)
    optimizer.build([model.center])
    for step in range(5):
        expected = randomness.fold_in(
            randomness.step_seed(model.seed, step), randomness.Purpose.NOISE
        )
        np.testing.assert_array_equal(model.noise_seed(True), expected)
        optimizer.apply_gradients([(tf.ones([3]), model.center)])
