"""A model that standardises: raw features in, raw features out.

What is expected comes from the same networks on data that scikit-learn has
standardised.
"""

import keras
import numpy as np
import pandas
import pytest
import tensorflow as tf
from sklearn.preprocessing import StandardScaler
from tiny_models import short_sampler, vector_nae, vector_networks

from nae_tf import Autoencoder, Calibration, ExportedModel, export_model
from nae_tf.base.standardization import moments

UNITS = np.array([1e-3, 1.0, 50.0, 4e4])
OFFSETS = np.array([0.02, -7.0, 300.0, 1e6])


def raw(count=40, seed=0):
    """Correlated features whose units differ by seven orders."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 4)) @ rng.normal(size=(4, 4))
    return (OFFSETS + UNITS * values).astype(np.float32)


X, OTHERS = raw(), raw(20, seed=1)
SCALER = StandardScaler().fit(X.astype(np.float64))
STANDARDISED = SCALER.transform(X).astype(np.float32)


def standardising():
    return vector_nae().standardize(X)


@pytest.fixture(scope="module")
def pair():
    """A model of raw features, and one of standardised features."""
    model, expected = standardising(), vector_nae()
    for each, x in ((model, X), (expected, STANDARDISED)):
        each.fit(x, epochs=3, batch_size=8, shuffle=False, verbose=0)
    return model, expected


def test_moments_are_those_of_scikit_learn():
    mean, scale = moments(np.array_split(X, 7))
    np.testing.assert_allclose(mean, SCALER.mean_, rtol=1e-12)
    np.testing.assert_allclose(scale, SCALER.scale_, rtol=1e-9)


def test_energies_are_those_of_standardised_features(pair):
    model, expected = pair
    np.testing.assert_allclose(
        model.predict_outlier_score(OTHERS),
        expected.predict_outlier_score(SCALER.transform(OTHERS)),
        rtol=1e-4,
    )
    # In training and evaluation, too.
    assert model.evaluate(X, verbose=0) == pytest.approx(
        expected.evaluate(STANDARDISED, verbose=0), rel=1e-4
    )
    np.testing.assert_allclose(
        model.score_model().predict(OTHERS, verbose=0),
        model.predict_outlier_score(OTHERS),
        rtol=1e-5,
    )


def test_chains_move_in_standardised_units(pair):
    model, expected = pair
    np.testing.assert_allclose(
        model.replay_buffer.states, expected.replay_buffer.states, atol=1e-3
    )
    for name, seen in (
        ("sample", (5,)),
        ("negative_samples", (X[:5],)),
    ):
        standardised = (5,) if name == "sample" else (STANDARDISED[:5],)
        ours = getattr(model, name)(*seen)
        theirs = getattr(expected, name)(*standardised)
        for stage in ("x", "x0"):
            np.testing.assert_allclose(
                SCALER.transform(getattr(ours, stage)),
                getattr(theirs, stage),
                atol=1e-3,
            )


def test_reconstructions_are_in_the_units_of_the_data(pair):
    model, expected = pair
    reconstructions = SCALER.inverse_transform(
        expected.predict(SCALER.transform(OTHERS), verbose=0)
    )
    for given in (model.predict(OTHERS, verbose=0), model(OTHERS)):
        difference = (np.asarray(given) - reconstructions) / UNITS
        np.testing.assert_allclose(difference, 0, atol=1e-3)


def test_tensors_of_the_networks_are_standardised(pair):
    model, expected = pair
    x = model.as_examples(OTHERS)
    np.testing.assert_allclose(x, SCALER.transform(OTHERS), atol=1e-4)
    np.testing.assert_allclose(
        model.energy(x), model.predict_outlier_score(OTHERS), rtol=1e-5
    )
    np.testing.assert_allclose(
        (model.unstandardized(x) - OTHERS) / UNITS, 0, atol=0.1
    )
    for method in (model.energy, model.encode, model.log_density):
        with pytest.raises(ValueError, match="expected standardised examples"):
            method(OTHERS)
    expected.energy(STANDARDISED)


def test_a_constant_feature_is_safe():
    x = X.copy()
    x[:, 2] = 0.1  # Not a binary fraction: sums of it are rounded.
    model = vector_nae().standardize(x)
    np.testing.assert_allclose(model.standardization.scale[2], 1)
    np.testing.assert_allclose(model.as_examples(x)[:, 2], 0, atol=1e-6)


def test_far_offsets_keep_their_digits():
    # A thousand times the deviation from zero: x itself has five digits left.
    x = np.random.default_rng(0).normal(size=(500, 4)) + 1e3
    model = vector_nae().standardize(x)
    np.testing.assert_allclose(
        model.as_examples(x), StandardScaler().fit_transform(x), atol=1e-3
    )


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_files_hold_the_moments(pair, tmp_path, name):
    model, _ = pair
    path = str(tmp_path / name)
    if name.endswith(".keras"):
        model.save(path)
        loaded = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        loaded = vector_nae(weight_seed=1)
        loaded.predict_outlier_score(X)  # A graph without moments.
        loaded.load_weights(path)
    np.testing.assert_array_equal(
        loaded.predict_outlier_score(OTHERS),
        model.predict_outlier_score(OTHERS),
    )
    # Of the autoencoder alone as well, which has no variables of its own.
    autoencoder = model.autoencoder()
    autoencoder.save(tmp_path / "ae.keras")
    loaded = keras.saving.load_model(tmp_path / "ae.keras")
    np.testing.assert_array_equal(
        loaded.predict(OTHERS, verbose=0), model.predict(OTHERS, verbose=0)
    )


def test_weights_without_moments_take_examples_as_they_are(tmp_path):
    model = vector_nae()
    scores = model.predict_outlier_score(STANDARDISED)
    model.save_weights(tmp_path / "old.weights.h5")
    other = standardising()
    other.predict_outlier_score(X)
    other.load_weights(tmp_path / "old.weights.h5")
    np.testing.assert_array_equal(
        other.predict_outlier_score(STANDARDISED), scores
    )


def test_keras_goes_on_from_a_backup(tmp_path):
    def fit(epochs, *callbacks):
        model = standardising().autoencoder()
        model.compile("adam")
        settings = {"batch_size": 8, "shuffle": False, "verbose": 0}
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        model.fit(X, epochs=epochs, callbacks=[backup, *callbacks], **settings)
        return model.get_weights()

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(4, Kill())
    for ours, theirs in zip(fit(4), fit(4), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_export_takes_raw_features(pair, tmp_path):
    model, _ = pair
    energies = model.predict_outlier_score(X)
    path = export_model(model, Calibration(energies), tmp_path / "export")
    exported = ExportedModel(path)
    np.testing.assert_allclose(
        exported.score(OTHERS)["energy"],
        model.predict_outlier_score(OTHERS),
        rtol=1e-5,
    )
    graphs = tf.saved_model.load(str(path)).signatures
    answer = graphs["reconstruct"](examples=tf.constant(OTHERS))
    reconstructions = model.predict(OTHERS, verbose=0)
    np.testing.assert_allclose(
        (answer["reconstruction"] - reconstructions) / UNITS, 0, atol=1e-2
    )
    # The shares of the features in the energy.
    np.testing.assert_allclose(
        np.mean(answer["error_map"], axis=1),
        model.predict_outlier_score(OTHERS),
        rtol=1e-4,
    )
    sample = graphs["sample"](
        count=tf.constant(3), seed=tf.constant(0, tf.int32)
    )
    np.testing.assert_allclose(
        (sample["samples"] - model.sample(3).x) / UNITS, 0, atol=1e-2
    )
    broken = OTHERS.copy()
    broken[3, 1] = np.nan
    status = graphs["score"](examples=tf.constant(broken))["status"]
    assert np.flatnonzero(status).tolist() == [3]


def test_keras_exports_raw_reconstructions(pair, tmp_path):
    model, _ = pair
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(
        (served.serve(OTHERS) - model.predict(OTHERS, verbose=0)) / UNITS,
        0,
        atol=1e-2,
    )


def as_frame(order):
    frame = pandas.DataFrame(X, columns=list("abcd"))
    return frame[[*order]]


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (X.tolist(), {}),
        (as_frame("abcd"), {}),
        (tf.data.Dataset.from_tensor_slices((X, X[:, 0])).batch(16), {}),
        (
            tf.data.Dataset.from_tensor_slices({"row": X}).batch(7),
            {"key": "row"},
        ),
        ((X[start : start + 9] for start in range(0, 40, 9)), {}),
    ],
    ids=["list", "frame", "dataset", "dictionaries", "generator"],
)
def test_data_come_in_many_ways(data, settings):
    model = vector_nae().standardize(data, **settings)
    np.testing.assert_allclose(
        model.standardization.scale, SCALER.scale_, rtol=1e-6
    )


def test_columns_are_learnt_by_their_names():
    model = vector_nae().standardize(as_frame("abcd"))
    np.testing.assert_array_equal(
        model.predict_outlier_score(as_frame("dbca")),
        model.predict_outlier_score(X),
    )


def test_networks_without_a_shape_are_built_by_the_data():
    model = Autoencoder(*vector_networks(built=False)).standardize(X)
    assert model.example_shape == (4,)


def test_new_moments_reach_graphs_that_are_traced():
    model = standardising()
    before = model.predict_outlier_score(X)
    model.standardize(2 * X)
    np.testing.assert_allclose(
        model.predict_outlier_score(2 * X), before, rtol=1e-3
    )


def test_moments_are_those_of_channels():
    images = np.random.default_rng(0).normal(
        [1.0, 100.0], [1.0, 10.0], size=(30, 4, 4, 2)
    )
    mean, scale = moments([images])
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(scale, images.std(axis=(0, 1, 2)))


def refused(model, x, message):
    with pytest.raises(ValueError, match=message) as caught:
        model.standardize(x)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_standardised_is_refused():
    bounded = vector_nae(sampler=short_sampler(bounds=(0.0, 1.0)))
    refused(bounded, X, r"bounds \(0, 1\).*for_tables")
    model = vector_nae()
    refused(model, X[:, :3], "expected examples of shape")
    refused(model, X[:0], "there are no examples")
    refused(model, np.full((5, 4), np.nan), "NaN or infinity")
    refused(model, X.astype(np.int64), "floating-point")
    assert model.standardization is None
