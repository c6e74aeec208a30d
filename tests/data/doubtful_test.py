"""What is probably not meant is warned of, and nothing else is."""

import warnings

import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import parquet
from science_files import read, write_hdf5

from nae_tf.base.lost_digits import Spread, spread_of
from nae_tf.data import Schema, read_files, user_data
from nae_tf.data.readers.batches import ExampleStream
from nae_tf.data.readers.codes import CodesInParts
from nae_tf.data.readers.stream import open_stream
from nae_tf.serving.scoring import stream_in_order

RNG = np.random.default_rng(0)
HEIGHTS = RNG.normal(1.7, 0.1, (60, 2))


def warned(path, **settings):
    """Read a file; return its values and the lines of all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = read(path, **settings).values
    return values, [str(warning.message) for warning in caught]


def write(path, values):
    """A table of the columns a, b, ... in the format of its name."""
    names = [chr(ord("a") + index) for index in range(values.shape[1])]
    frame = pandas.DataFrame(values, columns=names)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".npy":
        np.save(path, values)
    else:
        write_hdf5(path, x=values)
    return path


# --- Codes of missing values --------------------------------------------------

SUFFIXES = (".csv", ".parquet", ".npy", ".h5")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("code", [-999, 9999, -99.99, 1e20, 31.5])
def test_a_number_for_missing_is_named(tmp_path, suffix, code):
    values = HEIGHTS.copy()
    values[[7, 20, 50], 1] = code
    column = "column 1" if suffix in (".npy", ".h5") else "column 'b'"
    found, [line] = warned(write(tmp_path / f"a{suffix}", values))
    np.testing.assert_allclose(found, values, rtol=1e-6)
    assert f"a{suffix}: 3 of 60 values of {column} are {code:.7g}," in line
    assert "remove these rows" in line and "drop" in line
    assert "\n" not in line


def of_stream(path, batch_size=7):
    """The lines of all warnings of a file that is read in parts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for batch in open_stream(str(path), (2,), batch_size).batches:
            batch.load()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("code", [-999, 1e20])
def test_a_file_to_score_is_looked_at_alike(tmp_path, suffix, code):
    values = HEIGHTS.copy()
    values[[7, 20, 50], 1] = code
    values[[3, 4], 0] = -99  # In one part, with others between them.
    path = write(tmp_path / f"a{suffix}", values)
    _, [line] = warned(path)
    assert "2 of 60 values of column" in line and "and of 1 more" in line
    assert of_stream(path) == [line]
    write(path, HEIGHTS * np.array([1, 60]) - np.array([0, 40]))
    assert of_stream(path) == []


def test_codes_at_both_ends_and_in_most_rows(tmp_path):
    values = HEIGHTS.copy()
    values[:40, 0] = -999
    values[50:, 0] = 9999
    _, [line] = warned(write(tmp_path / "a.npy", values))
    assert "40 of 60 values of column 0 are -999" in line


def test_codes_of_several_columns_are_one_line(tmp_path):
    values = HEIGHTS.copy()
    values[:5] = -999
    _, [line] = warned(write(tmp_path / "a.npy", values))
    assert "5 of 60 values of column 0 (and of 1 more) are -999" in line


def test_jets_of_the_higgs_challenge(tmp_path):
    """There -999 lies nearer to the values than these to one another."""
    masses = RNG.lognormal(5.7, 0.8, 200)
    masses[masses > 4_900] = 4_900
    masses[:60] = -999
    values = np.column_stack([masses, RNG.normal(size=200)])
    _, [line] = warned(write(tmp_path / "a.npy", values))
    assert "60 of 200 values of column 0 are -999" in line


def in_parts(values, number=2):
    """The lines of warnings of values that come in parts."""
    codes = CodesInParts("a", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for part in np.array_split(np.float32(values), number):
            codes.add(part)
        codes.warn()
    return [str(warning.message) for warning in caught]


def test_jets_in_parts():
    values = RNG.lognormal(5.7, 0.8, (200, 1)).clip(None, 4_900)
    values[::3] = -999
    assert in_parts(values) == [
        "a: 67 of 200 values of column 0 are -999, far from all others; if "
        'that means "missing", remove these rows, or leave the column out by '
        "drop."
    ]


@pytest.mark.parametrize("number", [1, 7, 300])
def test_many_values_are_looked_at_in_turns(number):
    values = RNG.normal(size=(60_000, 10))
    values[np.ix_([1, 30_000, 59_999], [4, 7])] = -999
    values[2, 7] = 99_999
    assert in_parts(values, number) == [
        "a: 3 of 60000 values of column 4 (and of 1 more) are -999, far from "
        'all others; if that means "missing", remove these rows, or leave the '
        "column out by drop."
    ]


def of(kind, size):
    """A feature without codes."""
    return {
        "normal": lambda: RNG.normal(size=size),
        "heavy tails": lambda: RNG.standard_t(2, size),
        "exponential": lambda: RNG.lognormal(0, 2, size),
        "counts": lambda: RNG.poisson(0.3, size),
        "many counts": lambda: RNG.zipf(2, size),
        "classes": lambda: RNG.integers(0, 3, size),
        "flags": lambda: RNG.random(size) < 0.02,
        "a constant": lambda: np.full(size, 9_999.0),
        "saturated": lambda: RNG.normal(size=size).clip(-1, 1),
        "rounded": lambda: RNG.normal(size=size).round(1),
        "two clusters": lambda: RNG.normal(1_000 * (RNG.random(size) < 0.1)),
        "pixels": lambda: 255 * (RNG.random(size) < 0.05) + RNG.poisson(0.1),
        "ages": lambda: RNG.normal(45, 20, size).clip(0, 99).round(),
        "angles": lambda: RNG.integers(-180, 180, size),
        "of another scale": lambda: RNG.normal(0, 1e7, size),
    }[kind]()


@pytest.mark.parametrize("size", [12, 60, 1_000])
def test_usual_features_are_not_warned_of(tmp_path, size):
    kinds = [
        *("normal", "heavy tails", "exponential", "counts", "many counts"),
        *("classes", "flags", "a constant", "saturated", "rounded"),
        *("two clusters", "pixels", "ages", "angles", "of another scale"),
    ]
    for _ in range(20):
        values = np.column_stack([of(kind, size) for kind in kinds])
        found, lines = warned(write(tmp_path / "a.npy", values.astype(float)))
        assert lines == [], values
        assert in_parts(values) == []
        assert found.shape == values.shape


# --- Digits that float32 loses ------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("start", "step"),
    [(1_700_000_000.0, 1.0), (2_459_000.5, 1e-4), (0.0, 1e-42)],
    ids=["seconds since 1970", "Julian days", "square metres"],
)
def test_digits_that_float32_loses_are_named(tmp_path, suffix, start, step):
    values = HEIGHTS.copy()
    values[:, 0] = start + step * RNG.permutation(60)
    column = "column 0" if suffix in (".npy", ".h5") else "column 'a'"
    _, [line] = warned(write(tmp_path / f"a{suffix}", values))
    assert f"the values of {column} differ from" in line
    assert "float32" in line and "\n" not in line


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_digits_that_float32_keeps(tmp_path, scale):
    far = np.column_stack([RNG.normal(1e4, 1, 60), HEIGHTS, np.ones(60)])
    for suffix in (".csv", ".npy"):
        assert warned(write(tmp_path / f"a{suffix}", far * scale))[1] == []


def test_a_spread_in_parts_is_that_of_numpy():
    values = RNG.normal(1_000, [[1, 20, 300]], (70_000, 3))
    whole, parts = spread_of(values), Spread(3)
    for part in np.split(values, [3, 3, 500]):
        for index in range(3):
            parts.add(index, part[:, index])
        parts.add_rows(len(part))
    for spread in (whole, parts):
        assert spread.count == len(values)
        np.testing.assert_allclose(spread.mean, values.mean(0))
        np.testing.assert_allclose(spread.squares / 70_000, values.var(0))
        np.testing.assert_array_equal(spread.largest, abs(values).max(0))


def test_blocks_of_a_table_have_one_spread(tmp_path):
    """The day differs within no group of rows, but between them."""
    days = np.repeat(20_000_000.0 + np.arange(40), 5)
    values = pyarrow.table({"day": days, "b": RNG.normal(size=200)})
    parquet.write_table(values, tmp_path / "a.parquet", row_group_size=5)
    _, [line] = warned(tmp_path / "a.parquet")
    assert "column 'day' differ from 20000019.5 by 11.5 (standard" in line


# --- Integers that are no numbers ---------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "zip,b\n00715,2\n91101,5\n",
            "numbers of column 'zip' have zeros in front, as '00715', which is "
            "read as 715; if they are codes, leave the column out by drop",
        ),
        ("1,05,2,50\n3,25,4,75\n", "column 1 have zeros in front, as '05', "),
        (
            "b,day\n" + "".join(f"2,202402{n:02}\n" for n in range(1, 29)),
            "numbers of column 'day' look like dates, as '20240201'",
        ),
    ],
)
def test_integers_that_are_written_as_codes_or_dates(tmp_path, text, said):
    path = tmp_path / "a.csv"
    path.write_text(text)
    _, lines = warned(path)
    assert said in lines[0] and "\n" not in lines[0]
    assert of_stream(path) == [lines[0]]


def test_other_integers_are_numbers(tmp_path):
    path = tmp_path / "a.csv"
    rows = [
        f"{n},{n / 9:08.3f},{20_240_100 + 70_000 * n},00{n}" for n in (0, 7, 3)
    ]
    path.write_text("a,b,c,d\n" + "\n".join(rows * 3))
    _, lines = warned(path, drop=["d"])
    assert lines == []


def test_vectors_that_may_be_columns(tmp_path):
    np.save(tmp_path / "a.npy", RNG.normal(size=(20, 30)))
    with pytest.warns(match="20 examples of 30 features are read; if these"):
        user_data(str(tmp_path / "a.npy"))
    write(tmp_path / "b.csv", RNG.normal(size=(20, 21)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        user_data(str(tmp_path / "b.csv"))


# --- Rows ---------------------------------------------------------------------


def test_names_that_one_of_two_files_has(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 2))
    np.save(tmp_path / "a.npy", values)
    frame = pandas.DataFrame(values, columns=["x", "y"])
    frame.to_csv(tmp_path / "b.csv", index=False)
    unnamed, named = str(tmp_path / "a.npy"), str(tmp_path / "b.csv")
    message = r"b\.csv names its features and .*a\.npy does not; those of both"
    with pytest.warns(match=message):
        user_data(unnamed, {"bad": named})
    with pytest.warns(match=message):
        read_files([unnamed, named])
    with pytest.warns(match=message):
        read_files([named, unnamed])
    message = r"a\.npy does not name its features; .*as \['x', 'y'\], in this"
    with pytest.warns(match=message):
        user_data(named, {"bad": unnamed})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame.to_parquet(tmp_path / "c.parquet")
        user_data(named, {"bad": str(tmp_path / "c.parquet")})


def test_names_that_the_model_does_not_know():
    stream = ExampleStream(1, iter(()), ("x", "y"))
    notes = []
    stream_in_order(Schema((2,)), "b.csv", stream, notes.append)
    assert notes == [
        "note: the model knows no names of features; the columns of b.csv are "
        "taken in their order, ['x', 'y']."
    ]


@pytest.mark.parametrize("start", [0, 1])
def test_a_column_that_counts_the_rows(tmp_path, start):
    values = np.column_stack([HEIGHTS, start + np.arange(60)])
    _, [line] = warned(write(tmp_path / "a.csv", values))
    assert "column 'c' counts the rows" in line
    values[30, -1] += 0.5
    assert warned(write(tmp_path / "a.csv", values))[1] == []


def test_a_row_of_totals(tmp_path):
    heights = HEIGHTS.round(4)
    values = np.vstack([heights, heights.sum(0)])
    _, [line] = warned(write(tmp_path / "a.csv", values))
    assert "the last of 61 rows is the sum of all others" in line
    values[-1, 0] += 1
    values[-1, 1] -= 1
    assert warned(write(tmp_path / "a.csv", values))[1] == []


# --- Masks beside an array ----------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("name", ["mask", "x_mask"])
def test_a_mask_beside_an_array_is_named(tmp_path, suffix, name):
    values = np.ma.masked_greater(HEIGHTS, 1.8)
    path = tmp_path / f"a{suffix}"
    write = np.savez if suffix == ".npz" else write_hdf5
    write(path, **{"x": values.data, name: values.mask})
    found, [line] = warned(path, key="x")
    np.testing.assert_allclose(found, HEIGHTS, rtol=1e-6)
    assert f"a{suffix}, 'x': the array {name!r} of the same shape is" in line
    with pytest.warns(UserWarning, match="marks missing values, repair them"):
        open_stream(str(path), (2,), 8, key="x")


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_masks_of_other_shapes_or_kinds_are_none(tmp_path, suffix):
    write = np.savez if suffix == ".npz" else write_hdf5
    others = {"mask": np.ones(60, bool), "x_mask": np.ones((60, 2))}
    write(tmp_path / f"a{suffix}", x=HEIGHTS, valid=HEIGHTS > 1, **others)
    assert warned(tmp_path / f"a{suffix}", key="x")[1] == []
