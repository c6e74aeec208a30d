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


def test_labels_are_not_looked_at(x):
    labels = np.array(["a"] * 50)[:, None] == "a"
    detector().fit(x, labels, verbose=0)
