"""TableNAE against NumPy, and as Keras stores and serves it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf import Calibration, export_model
from nae_tf.tables import TableNAE, folds

ROWS = 80


def make_model(**settings):
    return TableNAE(4, 3, hidden_units=6, num_members=3, **settings)


@pytest.fixture(scope="module")
def x():
    x = np.random.default_rng(0).normal(size=(ROWS, 4))
    return x.astype(np.float32).astype(np.float64)  # As it is trained on.


@pytest.fixture(scope="module")
def fold():
    return folds(ROWS, 3, seed=0)


@pytest.fixture(scope="module")
def model(x, fold):
    model = make_model()
    model.train_members(x, fold, 10, 10, batch_size=8, seed=3)
    return model


def energies_by_hand(model, x):
    """Mean squared errors of every member, [2, members, rows]."""
    found = np.empty((2, 3, len(x)))
    for number, ensemble in enumerate(model.ensembles):
        weights = [np.asarray(w, np.float64) for w in ensemble]
        for member in range(3):
            first, bias, last, shift, *back = [w[member] for w in weights]
            columns = x[:, : len(first)]
            z = np.maximum(columns @ first + bias, 0) @ last + shift
            z /= np.linalg.norm(z, axis=1, keepdims=True)
            hidden = np.maximum(z @ back[0] + back[1], 0)
            output = hidden @ back[2] + back[3]
            found[number, member] = np.mean((columns - output) ** 2, axis=1)
    return found


def test_units_are_the_mean_energies_of_the_rows_left_out(model, x, fold):
    energy = energies_by_hand(model, x)
    expected = [
        [energy[number, member, fold == member].mean() for member in range(3)]
        for number in range(2)
    ]
    np.testing.assert_allclose(model.units, expected, rtol=1e-9)


def test_without_folds_units_are_mean_energies_of_all_rows(x):
    model = make_model()
    model.train_members(x, np.full(ROWS, -1), 3, 3, batch_size=8)
    np.testing.assert_allclose(
        model.units, energies_by_hand(model, x).mean(-1), rtol=1e-9
    )


def test_scores_are_mean_energies_in_units(model, x):
    x_new = 2 * x[:7]
    energy = energies_by_hand(model, x_new) / model.units.numpy()[:, :, None]
    np.testing.assert_allclose(model.member_energies(x_new), energy, rtol=1e-9)
    expected = energy.mean((0, 1))
    np.testing.assert_allclose(
        model.predict_outlier_score(x_new), expected, rtol=1e-5
    )
    residuals = model.scaled_residuals(x_new)
    assert [r.shape for r in residuals] == [(3, 7, 3), (3, 7, 4)]
    for number, residual in enumerate(residuals):
        np.testing.assert_allclose(
            np.sum(residual**2, axis=-1), energy[number], rtol=1e-9
        )


def test_a_row_alone_scores_as_among_others(model, x):
    many = np.tile(x, (30, 1))[:2_100]  # Of three batches.
    together = model.member_energies(many)
    for row in (0, 1_023, 1_024, 2_099):
        np.testing.assert_allclose(
            model.member_energies(many[row : row + 1])[..., 0],
            together[..., row],
            rtol=1e-9,
        )


def test_training_goes_on_from_the_weights_or_anew(model, x, fold):
    again = make_model()
    again.set_weights(model.get_weights())
    again.train_members(x, fold, 0, 0, new_weights=False)
    for weight, same in zip(
        again.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weight, same)
    again.train_members(x, fold, 10, 10, batch_size=8, seed=3)
    np.testing.assert_array_equal(
        again.get_weights()[0], model.get_weights()[0]
    )


def test_a_file_of_keras_scores_the_same(model, x, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, TableNAE)
    np.testing.assert_array_equal(
        again.member_energies(x), model.member_energies(x)
    )


def test_an_export_scores_the_same(model, x, tmp_path):
    scores = model.predict_outlier_score(x)
    path = export_model(model, Calibration(scores), tmp_path)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    outputs = served(examples=tf.constant(x, tf.float32))
    assert any(
        value.shape == scores.shape and np.allclose(value, scores, rtol=1e-5)
        for value in outputs.values()
    )


def test_weights_of_double_precision_are_trained_and_scored(x, fold):
    model = make_model(dtype="float64")
    model.train_members(x, fold, 2, 2, batch_size=8)
    model.train_members(x, fold, 0, 2, batch_size=8, new_weights=False)
    energy = energies_by_hand(model, x) / model.units.numpy()[:, :, None]
    np.testing.assert_allclose(
        model.predict_outlier_score(x), energy.mean((0, 1)), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("setting", "value", "smallest"),
    [
        ("num_columns", 0, 1),
        ("num_values", 2.5, 1),
        ("hidden_units", True, 1),
        ("num_members", 1, 2),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, value, smallest):
    settings = {"num_columns": 3, "num_values": 3} | {setting: value}
    with pytest.raises(
        ValueError, match=f"TableNAE.* integer {setting} >= {smallest}, rec"
    ):
        TableNAE(**settings)
