"""Tables whose columns are no numbers, although they could be converted."""

import warnings

import numpy as np
import pandas as pd
import pytest

from nae_tf import NAEDetector
from nae_tf.tables.input_errors import warn_of_labels


def quick(**settings):
    settings = {"pretraining_steps": 2, "steps": 1} | settings
    return NAEDetector(random_state=0, **settings)


def normals(rows):
    return np.random.default_rng(0).normal(size=(rows, 3))


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(normals(100))


def moments(count):
    return pd.date_range("2020", periods=count, freq="ns")


COLUMNS_OF_NO_NUMBERS = {
    "identifiers": (lambda: 2**60 + np.arange(40), "integers of 2"),
    "identifiers of 64 bits": (
        lambda: np.arange(40, dtype="u8") + np.uint64(2**63),
        "integers of 2",
    ),
    "nanoseconds": (lambda: moments(40).as_unit("ns").asi8, "integers of 2"),
    "objects of identifiers": (
        lambda: np.array([2**60, *range(39)], object),
        "integers of 2",
    ),
    "nullable identifiers": (
        lambda: pd.array(2**60 + np.arange(40), "Int64"),
        "integers of 2",
    ),
    "text": (lambda: np.array(["00715", "2.5"] * 20, object), "text"),
    "text of pandas": (lambda: pd.array(["1", "2"] * 20, "string"), "text"),
    "bytes": (lambda: np.array([b"1", b"2"] * 20, object), "text"),
    "dates": (lambda: moments(40), "dates"),
    "dates of Arrow": (
        lambda: pd.array(moments(40), "timestamp[ns][pyarrow]"),
        "dates",
    ),
    "objects of dates": (
        lambda: np.array([np.datetime64(5, "ns")] * 40, object),
        "dates",
    ),
    "categories": (lambda: pd.Categorical([11, 13] * 20), "categories"),
    "lists": (lambda: [[1.0, 2.0]] * 40, "lists"),
    "complex numbers": (lambda: np.arange(40) + 1j, "complex numbers"),
    "objects of complex numbers": (
        lambda: np.array([1j, 2.0] * 20, object),
        "complex numbers",
    ),
}


@pytest.mark.parametrize("kind", COLUMNS_OF_NO_NUMBERS)
def test_a_column_of_no_numbers_is_refused_by_name(kind, fitted):
    make, what = COLUMNS_OF_NO_NUMBERS[kind]
    frame = pd.DataFrame(normals(40), columns=["a", "b", "c"])
    frame["b"] = make()
    for use in (quick().fit, fitted.score_samples):
        with pytest.raises(ValueError, match=rf"{what}|dates or dur") as found:
            use(frame)
        assert "\n" not in str(found.value)


def test_arrays_of_complex_numbers_are_refused_in_one_line():
    for x in (normals(40) + 1j, (normals(40) + 1j).astype(object)):
        with pytest.raises(ValueError, match="Complex data not sup") as found:
            quick().fit(x)
        assert len(str(found.value)) < 100


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
@pytest.mark.parametrize(
    ("column", "what"),
    [
        (2**60 + np.arange(40), "column 'b' holds integers of 2"),
        (["1", "2"] * 20, "column 'b' holds text"),
        (np.arange(40).astype("M8[ns]"), "column 'b' holds dates"),
        (np.arange(40).astype("m8[ns]"), "column 'b' holds durations"),
        ([[1.0, 2.0]] * 40, "column 'b' holds lists; make each of their v"),
        ([{"x": 1.0}] * 40, "column 'b' holds lists"),
    ],
)
def test_frames_of_other_libraries_are_looked_at_alike(library, column, what):
    module = pytest.importorskip(library)
    make = {"polars": "DataFrame", "pyarrow": "table"}[library]
    frame = getattr(module, make)({"a": normals(40)[:, 0], "b": column})
    with pytest.raises(ValueError, match=what):
        quick().fit(frame)


def test_a_lazy_frame_has_its_own_line(fitted):
    polars = pytest.importorskip("polars")
    lazy = polars.DataFrame(normals(40), schema=["a", "b", "c"]).lazy()
    for use in (quick().fit, fitted.score_samples):
        with pytest.raises(ValueError, match=r"a lazy LazyFrame; collect\(\)"):
            use(lazy)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (lambda x: x.astype(str), "text"),
        (lambda x: x.astype(str).tolist(), "text"),
        (lambda x: [[np.datetime64(5, "ns")] * 3] * 40, "dates"),
        (lambda x: x.astype(int) + 2**60, "column 0 holds integers of 2"),
        (
            lambda x: [np.ma.masked_array(row, row > 0) for row in x],
            "values are masked",
        ),
    ],
)
def test_rows_of_no_numbers_are_refused(rows, what):
    with pytest.raises(ValueError, match=what):
        quick().fit(rows(normals(40)))


def test_objects_and_large_floats_are_numbers(fitted):
    x = normals(40)
    expected = fitted.score_samples(x)
    for given in (x.astype(object), pd.DataFrame(x).astype(object)):
        np.testing.assert_array_equal(fitted.score_samples(given), expected)
    x[0, 0] = 1e300
    assert np.isfinite(fitted.score_samples(x)[1:]).all()


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_that_scikit_learn_does_not_know_by_name(library):
    """Names of numbers, and those of other libraries than pandas."""
    module = pytest.importorskip(library)
    x = normals(40)
    names = (400, 402, 404) if library == "pandas" else ("a", "b", "c")
    make = getattr(module, "table" if library == "pyarrow" else "DataFrame")

    def frame(order):
        return make({names[place]: x[:, place] for place in order})

    detector = quick(steps=2).fit(frame((0, 1, 2)))
    detector.score_samples(frame((0, 1, 2)))
    with pytest.raises(ValueError, match=r"order|should match") as found:
        detector.score_samples(frame((2, 1, 0)))
    assert "\n" not in str(found.value)


def test_labels_that_scorers_take_the_wrong_way_round_are_warned_of():
    x, y = normals(40), np.arange(40) % 5 == 0
    with pytest.warns(UserWarning, match=r"give them 1 - 2 \* y"):
        quick(steps=0).fit(x, y.astype(int))
    for labels in (1 - 2 * y, ~y, None, np.where(y, 2, 1)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warn_of_labels(labels)
