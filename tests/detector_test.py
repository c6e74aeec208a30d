"""The contract of every method, on a detector with a single weight."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf.detector import OutlierDetector


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
        self.minimize(loss, tape, [self.center])
        return self.update_means(tf.shape(x)[0], loss=loss, spread=score)

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


def test_figures_of_fit_and_evaluate_are_means_over_the_examples(x):
    model = detector()
    # The last batch holds 2 of 50 examples.
    history = model.fit(x, batch_size=16, epochs=2, verbose=0).history
    expected = np.mean((x - [0.0, 0.5, 1.0]) ** 2)
    for name in ("loss", "spread"):
        np.testing.assert_allclose(history[name], [expected] * 2, rtol=1e-5)
    results = model.evaluate(x, batch_size=16, verbose=0, return_dict=True)
    np.testing.assert_allclose(results["spread"], expected, rtol=1e-5)


def test_training_takes_the_optimizers_step(x):
    model = detector(optimizer=keras.optimizers.SGD(0.3))
    model.fit(x, batch_size=50, verbose=0)
    slope = 2 / 3 * np.mean([0.0, 0.5, 1.0] - x, axis=0)
    np.testing.assert_allclose(
        model.center, [0.0, 0.5, 1.0] - 0.3 * slope, rtol=1e-5
    )


# --- Bad input ----------------------------------------------------------------

GOOD = np.full([8, 3], 0.5, "float32")


def with_value(value):
    bad = GOOD.copy()
    bad[6, 1] = value
    return bad


BAD = {
    "too few features": (GOOD[:, :2], "expected examples of shape"),
    "no batch axis": (GOOD[:, 0], "expected examples of shape"),
    "integers": (np.ones([8, 3], "uint8"), "astype('float32') / 255"),
    "booleans": (np.ones([8, 3], bool), "expected floating-point"),
    "NaN": (with_value(np.nan), "NaN or infinity"),
    "infinity": (with_value(np.inf), "NaN or infinity"),
    "too large": (with_value(1.5), "expected values in [0, 1]"),
    "too small": (with_value(-0.1), "expected values in [0, 1]"),
    "nothing": (GOOD[:0], "no examples"),
}


@pytest.fixture(scope="module", params=[False, True], ids=["graph", "eager"])
def checked_detector(request):
    return detector(run_eagerly=request.param)


@pytest.mark.parametrize("as_data", [np.asarray, batches])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict_outlier_score"])
@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD)
def test_bad_examples_end_in_one_line(
    checked_detector, bad, message, method, as_data
):
    with pytest.raises(ValueError) as error:
        getattr(checked_detector, method)(as_data(bad))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_dataset_that_turns_out_empty_ends_in_one_line(method):
    data = batches(GOOD).filter(lambda x: False)
    with pytest.raises(ValueError, match="no examples") as error:
        getattr(detector(), method)(data)
    assert "\n" not in str(error.value)


def test_bad_validation_data_ends_in_one_line():
    with pytest.raises(ValueError, match="NaN or infinity") as error:
        detector().fit(GOOD, validation_data=(with_value(np.nan),), verbose=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"sample_weight": np.ones(8)},
        {"y": np.zeros(8), "sample_weight": np.ones(8)},
        {"y": np.zeros(8), "class_weight": {0: 2.0}},
    ],
)
def test_sample_weights_are_refused_in_one_line(arguments):
    with pytest.raises(ValueError, match="sample_weight") as error:
        detector().fit(GOOD, verbose=0, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [{"loss": "mse"}, {"metrics": ["mae"]}, {"loss_weights": [1.0]}],
)
def test_losses_and_metrics_are_refused_in_one_line(arguments):
    with pytest.raises(ValueError, match="Remove the argument") as error:
        DistanceToCenter().compile("sgd", **arguments)
    assert "\n" not in str(error.value)


def test_labels_are_not_looked_at(x):
    labels = np.array(["a"] * 50)[:, None] == "a"
    detector().fit(x, labels, verbose=0)
