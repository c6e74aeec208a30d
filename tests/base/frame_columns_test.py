"""Tests of nae_tf/base/frame_columns.py: data frames given to a model."""

import warnings

import keras
import numpy as np
import pandas
import polars
import pyarrow
import pytest

from nae_tf import NAE, Autoencoder, Calibration, ExportedModel, export_model
from nae_tf.base.frame_columns import FrameColumns

NAMES = ["mass", "energy", "charge"]


def frame(order=NAMES, rows=24):
    values = np.random.default_rng(0).normal(size=(rows, 3))
    return pandas.DataFrame(values, columns=NAMES)[list(order)]


def networks():
    return (
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
    )


@pytest.fixture(scope="module")
def fitted():
    """A model that was fitted to a data frame."""
    keras.utils.set_random_seed(0)
    model = Autoencoder(*networks())
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(
        frame(),
        validation_data=frame(NAMES[::-1]),
        batch_size=8,
        epochs=1,
        verbose=0,
    )
    return model


def expected(model):
    return model.predict_outlier_score(frame().to_numpy())


def test_columns_in_another_order_have_the_same_scores(fitted):
    for order in (NAMES, NAMES[::-1], ["energy", "charge", "mass"]):
        scores = fitted.predict_outlier_score(frame(order))
        np.testing.assert_allclose(scores, expected(fitted), rtol=1e-6)
    reverse = frame(NAMES[::-1])
    batches = iter([reverse[:10], reverse[10:]])
    np.testing.assert_allclose(
        fitted.predict_outlier_score(batches), expected(fitted), rtol=1e-6
    )


def test_keras_methods_take_columns_in_another_order(fitted):
    np.testing.assert_allclose(
        fitted.predict(frame(NAMES[::-1]), verbose=0),
        fitted.predict(frame().to_numpy(), verbose=0),
        rtol=1e-6,
    )
    errors = [
        fitted.evaluate(frame(order), verbose=0)
        for order in (NAMES, NAMES[::-1])
    ]
    assert errors[0] == pytest.approx(errors[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.rename(columns={"mass": "m"}), r"lacks .*'mass'.*'m'"),
        (lambda x: x.assign(other=1.0), r"has \['other'\] besides"),
        (lambda x: x.drop(columns="mass"), r"lacks the columns \['mass'\]"),
    ],
    ids=["renamed", "unknown", "missing"],
)
def test_other_columns_are_refused(change, message, fitted):
    for method in (fitted.predict_outlier_score, fitted.fit, fitted.evaluate):
        with pytest.raises(ValueError, match=message) as caught:
            method(change(frame()))
        assert "\n" not in str(caught.value)


def test_names_are_in_the_file_and_in_the_export(fitted, tmp_path):
    fitted.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.frame_columns.names == tuple(NAMES)
    np.testing.assert_allclose(
        loaded.predict_outlier_score(frame(NAMES[::-1])),
        expected(fitted),
        rtol=1e-6,
    )
    path = export_model(loaded, Calibration([0.1, 0.2]), tmp_path / "export")
    exported = ExportedModel(path)
    assert exported.schema.names == tuple(NAMES)
    np.testing.assert_allclose(
        exported.score(frame(NAMES[::-1]))["energy"],
        expected(fitted),
        rtol=1e-6,
    )


def test_pretraining_and_training_share_the_order():
    model = NAE(*networks())
    pretraining = model.autoencoder()
    pretraining.compile("adam")
    pretraining.fit(frame(), batch_size=8, epochs=1, verbose=0)
    assert model.frame_columns.names == tuple(NAMES)


def test_arrays_have_no_names():
    model = Autoencoder(*networks())
    model.compile("adam")
    model.fit(frame().to_numpy(), batch_size=8, epochs=1, verbose=0)
    assert "feature_names" not in model.get_config()
    # Nothing can be compared.
    assert len(model.predict_outlier_score(frame(NAMES[::-1]))) == 24


def test_names_are_learnt_by_fit_alone():
    columns = FrameColumns()
    columns.values("fit", frame(), np.float32)
    assert columns.names is None
    values = columns.values("fit", frame(), np.float64, learn=True)
    assert columns.names == tuple(NAMES)
    np.testing.assert_array_equal(values, frame().to_numpy())
    again = columns.values("fit", frame(NAMES[::-1]), np.float64)
    np.testing.assert_array_equal(again, values)


# Microseconds since 1970: float32 tells those apart that are two minutes away.
MICROSECONDS = 1_700_000_000_000_000 + 1_000 * np.arange(24)


def with_times(columns=NAMES):
    return {"time": MICROSECONDS} | {name: frame()[name] for name in columns}


def lines_of(method, *arguments, **settings):
    """The lines of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        method(*arguments, **settings)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    "make", [pandas.DataFrame, polars.DataFrame, pyarrow.table]
)
def test_digits_that_float32_loses_are_named_once(make):
    times = make(with_times())
    columns = FrameColumns()
    for learn in (True, False):
        lines = lines_of(columns.values, "NAE", times, "float32", learn=learn)
        if not learn:
            assert lines == []
            continue
        # By NumPy: the mean of the times, and their deviation.
        [line] = lines
        assert line == (
            "NAE: the values of column 'time' differ from 1.7e+15 by 6.92e+03 "
            "(standard deviation), which float32 can hardly tell; subtract "
            "that number in all frames, change the unit, or leave the column "
            "out."
        )


def test_digits_that_are_kept_are_not_named():
    hours = pandas.DataFrame({"time": (MICROSECONDS - MICROSECONDS[0]) / 3.6e9})
    assert lines_of(FrameColumns().values, "NAE", hours, "float32") == []
    times = pandas.DataFrame(with_times())
    assert lines_of(FrameColumns().values, "NAE", times, "float64") == []


def test_a_model_warns_once_of_frames_in_parts():
    times = pandas.DataFrame(with_times(["mass", "energy"]))
    model = Autoencoder(*networks())
    model.compile("adam")
    parts = iter([times[:10], times[10:20], times[20:]])
    [line] = lines_of(model.predict_outlier_score, parts)
    assert "Autoencoder: the values of column 'time' differ" in line
    assert lines_of(model.fit, times, epochs=1, verbose=0) == []
    other = Autoencoder(*networks())
    other.compile("adam")
    [line] = lines_of(other.fit, times, epochs=2, batch_size=8, verbose=0)
    assert "'time'" in line
