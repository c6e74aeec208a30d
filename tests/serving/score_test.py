"""Batch scoring, as a user runs it: inputs, outputs, interruptions."""

import csv
import io
import pathlib
import sys
import types

import h5py
import numpy as np
import pytest
import tensorflow as tf
from data_files import write_tfrecord
from tiny_models import image_networks, vector_nae
from tiny_runs import run_module

from nae_tf import Autoencoder, score
from nae_tf.data.readers.stream import Batch, ExampleStream, open_stream
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model
from nae_tf.serving.input_flags import examples_at_a_time
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.serving.score_files import PartialFile, partial_path
from nae_tf.serving.scoring import score_batches

CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)


@pytest.fixture(scope="module")
def vector_model(exported_vectors):
    return vector_nae(), exported_vectors


@pytest.fixture(scope="module")
def image_model(tmp_path_factory):
    model = Autoencoder(*image_networks())
    folder = tmp_path_factory.mktemp("images")
    return model, export_model(model, CALIBRATION, folder)


@pytest.mark.parametrize(
    ("shape", "chosen", "expected"),
    [
        ((30,), None, 1024),
        ((16, 16, 1), None, 1024),
        ((257,), None, 256),
        ((28, 28, 1), None, 256),
        ((30,), 7, 7),
    ],
)
def test_small_examples_are_scored_a_thousand_at_a_time(
    shape, chosen, expected
):
    model = types.SimpleNamespace(example_shape=shape)
    options = types.SimpleNamespace(batch_size=chosen)
    assert examples_at_a_time(model, options) == expected


def vectors(count):
    return np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)


def run_score(*arguments, stdin=""):
    return run_module("score", *arguments, stdin=stdin)


def table(x):
    text = io.StringIO()
    csv.writer(text).writerows(x.tolist())
    return text.getvalue()


def write(path, x):
    if path.suffix == ".csv":
        path.write_text("a,b,c,d\n" + table(x))
    elif path.suffix == ".npy":
        np.save(path, x)
    elif path.suffix == ".npz":
        np.savez(path, x)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["x"] = x
    else:
        write_tfrecord(path, [{"x": row} for row in x])


def rows_of(model, ids, x, done=()):
    """The rows of one batch."""
    stream = ExampleStream(len(x), iter([Batch(ids, lambda: x)]))
    [rows] = score_batches(model, stream, list(done))
    return rows


# Reads energy, p-value and decision off the examples.
GIVEN = types.SimpleNamespace(
    score=lambda x: {
        "energy": x[:, 0],
        "p_value": x[:, 1],
        "is_outlier": x[:, 2] > 0,
    }
)


def test_a_row_is_an_example_s_energy_p_value_and_decision():
    x = np.array([[0.5, 1.0, 0.0], [3.25, 0.125, 1.0]], np.float32)
    rows = [("a", "0.5", "1.0", "0"), ("b", "3.25", "0.125", "1")]
    assert rows_of(GIVEN, ["a", "b"], x) == rows
    assert rows_of(GIVEN, ["a", "b"], x, done=rows[:1]) == rows[1:]


def with_damaged_images(folder, damaged):
    """Eight images of one grey each, 0 ... 7; some are cut in half."""
    for number in range(8):
        image = np.full((12, 12, 1), number, np.uint8)
        data = tf.io.encode_png(image).numpy()
        if number in damaged:
            data = data[: len(data) // 2]
        (folder / f"{number}.png").write_bytes(data)
    return str(folder)


# The energy is the first pixel's level.
LEVELS = types.SimpleNamespace(
    score=lambda x: {
        "energy": np.round(x[:, 0, 0, 0] * 255),
        "p_value": x[:, 0, 0, 0],
        "is_outlier": x[:, 0, 0, 0] < 0,
    }
)


def test_rows_before_a_damaged_image_are_written(tmp_path):
    folder = with_damaged_images(tmp_path, {5})
    stream = open_stream(folder, (12, 12, 1), batch_size=4)
    batches = score_batches(LEVELS, stream, [])
    energies = [float(row[1]) for _ in range(2) for row in next(batches)]
    assert energies == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"example 5\.png: .*is damaged"):
        next(batches)


def test_damaged_images_are_recorded_and_the_others_scored(tmp_path):
    folder = with_damaged_images(tmp_path, {0, 5, 6})

    def scored(done):
        stream = open_stream(folder, (12, 12, 1), batch_size=4)
        faults = {}
        batches = score_batches(LEVELS, stream, done, faults.__setitem__)
        return [row for batch in batches for row in batch], faults

    rows, faults = scored([])
    np.testing.assert_array_equal(
        [float(row[1]) for row in rows],
        [np.nan, 1, 2, 3, 4, np.nan, np.nan, 7],
    )
    assert [row[3] for row in rows] == list("10000110")
    assert list(faults) == ["0.png", "5.png", "6.png"]
    assert all("damaged" in str(fault) for fault in faults.values())
    # Going on within a batch, behind a row without a score.
    rest, later = scored(rows[:6])
    assert rest[0][0] == "6.png" and len(rest) == 2
    assert list(later) == ["6.png"]


def test_a_row_of_nan_is_recorded_too():
    x = np.arange(12.0).reshape(4, 3)
    x[2, 0] = np.nan

    def refuse_nan(values):
        if np.isnan(values).any():
            raise ValueError("NaN")
        return GIVEN.score(values)

    model = types.SimpleNamespace(score=refuse_nan)
    stream = ExampleStream(4, iter([Batch(list("abcd"), lambda: x)]))
    faults = {}
    [rows] = score_batches(model, stream, [], faults.__setitem__)
    assert [row[1] for row in rows] == ["0.0", "3.0", "nan", "9.0"]
    assert list(faults) == ["c"]


def test_the_command_records_faults_beside_the_scores(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "in").mkdir()
    folder = with_damaged_images(tmp_path / "in", {5})
    options = types.SimpleNamespace(
        model="",
        input=folder,
        output=str(tmp_path / "scores.csv"),
        key=None,
        drop=[],
        header="auto",
        batch_size=4,
        max_level=None,
        linked_files=False,
        false_alarm_rate=None,
        on_error="record",
    )
    model = types.SimpleNamespace(
        example_shape=(12, 12, 1), schema=None, score=LEVELS.score
    )
    monkeypatch.setattr(score.flags, "FLAGS", options)
    monkeypatch.setattr(score, "open_model", lambda options: model)
    score.main()
    with (tmp_path / "scores.csv.errors.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row["id"] == "5.png" and "is damaged" in row["error"]
    assert "1 examples have no score; " in capsys.readouterr().err
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[6] == "5.png,nan,nan,1" and len(lines) == 9


def test_equal_scores_of_another_example_do_not_go_on():
    x = np.array([[0.5, 1.0, 0.0]])
    with pytest.raises(ValueError, match="another model or other examples"):
        rows_of(GIVEN, ["a"], x, done=[("b", "0.5", "1.0", "0")])


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_key_names_the_examples_among_several_arrays(suffix, tmp_path):
    arrays = {"a": np.zeros((3, 2)), "b": np.ones((3, 2))}
    file = tmp_path / f"x.{suffix}"
    if suffix == "npz":
        np.savez(file, **arrays)
    else:
        with h5py.File(file, "w") as out:
            out.update(arrays)
    np.testing.assert_array_equal(
        read(open_stream(str(file), (2,), 8, key="b")), arrays["b"]
    )
    with pytest.raises(ValueError, match=r"set (--)?key to the one"):
        open_stream(str(file), (2,), 8)


@pytest.mark.parametrize("suffix", ["csv", "npy", "npz", "h5", "tfrecord"])
def test_every_kind_of_file_is_scored_in_order(suffix, vector_model, tmp_path):
    model, path = vector_model
    x = vectors(20)
    file = tmp_path / f"x.{suffix}"
    write(file, x)
    stream = open_stream(str(file), (4,), batch_size=8)
    rows = [
        row
        for batch in score_batches(ExportedModel(path), stream, [])
        for row in batch
    ]
    assert [row[0] for row in rows] == [str(number) for number in range(20)]
    np.testing.assert_allclose(
        [float(row[1]) for row in rows],
        model.predict_outlier_score(x),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        [float(row[2]) for row in rows],
        CALIBRATION.p_values([float(row[1]) for row in rows]),
        rtol=1e-5,
    )


def test_images_are_resized_and_named_by_their_path(image_model, tmp_path):
    model, path = image_model
    images = np.random.default_rng(1).integers(0, 256, (3, 12, 12, 1), np.uint8)
    large = np.full((30, 40, 1), 51, np.uint8)
    names = ["a/1.png", "a/2.png", "b.png", "c.png"]
    (tmp_path / "a").mkdir()
    for name, image in zip(names, [*images, large], strict=True):
        data = tf.io.encode_png(image).numpy()
        (tmp_path / name).write_bytes(data)
    stream = open_stream(str(tmp_path), (12, 12, 1), batch_size=3)
    assert stream.size == 4
    rows = [
        row
        for batch in score_batches(ExportedModel(path), stream, [])
        for row in batch
    ]
    assert [row[0] for row in rows] == names
    x = np.concatenate([images, np.full((1, 12, 12, 1), 51)]) / 255
    np.testing.assert_allclose(
        [float(row[1]) for row in rows],
        model.predict_outlier_score(x.astype(np.float32)),
        rtol=1e-4,
    )


def test_a_table_goes_in_and_out_by_pipes(vector_model):
    model, path = vector_model
    x = vectors(10)
    finished = run_score(f"--model={path}", "--input=-", stdin=table(x))
    assert finished.returncode == 0, finished.stderr
    rows = list(csv.DictReader(io.StringIO(finished.stdout)))
    assert list(rows[0]) == ["id", "energy", "p_value", "is_outlier"]
    energies = [float(row["energy"]) for row in rows]
    np.testing.assert_allclose(
        energies, model.predict_outlier_score(x), rtol=1e-4
    )


def read(stream):
    return np.concatenate([batch.load() for batch in stream.batches])


def test_a_byte_order_mark_spoils_no_number(tmp_path, monkeypatch):
    file = tmp_path / "x.csv"
    file.write_bytes("\ufeff1,2\r\n3,4\r\n".encode())
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        piped = read(open_stream("-", (2,), 8))
    for x in (piped, read(open_stream(str(file), (2,), 8))):
        np.testing.assert_array_equal(x, [[1, 2], [3, 4]])


def test_images_of_bytes_are_read_from_hdf5_as_from_npy(tmp_path):
    # Twelve by twelve pixels of one colour: resizing changes no pixel's value.
    images = np.full((5, 12, 12), 51, np.uint8)
    write(tmp_path / "x.h5", images)
    for side in (12, 6):
        x = read(open_stream(str(tmp_path / "x.h5"), (side, side, 1), 2))
        np.testing.assert_allclose(x, np.full((5, side, side, 1), 0.2))


def test_a_bad_line_ends_in_one_line_and_exit_status_1(vector_model):
    _, path = vector_model
    text = table(vectors(2)) + "1,2,x,4\n"
    finished = run_score(f"--model={path}", "--input=-", stdin=text)
    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("error: -, line 3: expected numbers, received")


def test_scores_do_not_go_into_the_folder_of_examples(image_model, tmp_path):
    _, path = image_model
    for arguments in (
        [f"--input={tmp_path}", f"--output={tmp_path}/scores.csv"],
        ["--input=", f"--output={tmp_path}/scores.csv"],
    ):
        finished = run_score(f"--model={path}", *arguments)
        assert finished.returncode == 1
        assert finished.stderr.splitlines()[-1].startswith("error: --")
        assert not any(tmp_path.iterdir())


class Interruption(Exception):
    pass


def score_to(path, output, x, stop_after=None):
    """Score into a file as the command does; optionally break off."""

    def batches():
        for start in range(0, len(x), 4):
            if stop_after is not None and start >= stop_after:
                raise Interruption
            chunk = x[start : start + 4]
            ids = [str(start + number) for number in range(len(chunk))]
            yield Batch(ids, lambda chunk=chunk: chunk)

    stream = ExampleStream(len(x), batches())
    scored = 0
    with PartialFile(output) as partial:
        for rows in score_batches(ExportedModel(path), stream, partial.rows):
            partial.write(rows)
            scored += len(rows)
        partial.finish()
    return scored


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_an_interrupted_output_goes_on_and_ends_as_if_it_had_not(
    cut, vector_model, tmp_path
):
    _, path = vector_model
    x = vectors(18)
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    score_to(path, whole, x)
    with pytest.raises(Interruption):
        score_to(path, broken, x, stop_after=8)
    assert not broken.exists()
    # A process that is killed may leave a piece of a line.
    partial = partial_path(broken)
    data = partial.read_bytes()
    partial.write_bytes(data[: len(data) - cut])
    assert score_to(path, broken, x) < 18
    assert broken.read_text() == whole.read_text()
    assert not partial.exists()
    assert sorted(tmp_path.iterdir()) == [broken, whole]


def test_an_output_cut_within_a_character_goes_on(tmp_path):
    output = tmp_path / "scores.csv"
    # The second is how Python has the bytes of a name that is not UTF-8.
    rows = [('a,"b.png', "1", "2", "0"), ("\u00dc\udcff.png", "1", "2", "0")]
    with pytest.raises(Interruption), PartialFile(output) as partial:
        partial.write(rows)
        raise Interruption
    path = partial_path(output)
    data = path.read_bytes()
    assert data.endswith(b"\xc3\x9c\xff.png,1,2,0\n")
    path.write_bytes(data + "\u00dc".encode()[:1])
    with PartialFile(output) as partial:
        assert partial.rows == rows
        partial.finish()
    assert output.read_bytes() == data


def test_other_data_do_not_go_on(vector_model, tmp_path):
    _, path = vector_model
    output = tmp_path / "scores.csv"
    with pytest.raises(Interruption):
        score_to(path, output, vectors(18), stop_after=8)
    with pytest.raises(ValueError, match="another model or other examples"):
        score_to(path, output, vectors(18) + 1)
    with pytest.raises(ValueError, match="another model or other examples"):
        score_to(path, output, vectors(4))


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_scores_are_written_as_arrays(suffix, vector_model, tmp_path):
    model, path = vector_model
    output = tmp_path / f"scores.{suffix}"
    x = vectors(9)
    score_to(path, output, x)
    if suffix == "npz":
        scores = dict(np.load(output))
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        columns = parquet.read_table(output).to_pydict()
        scores = {name: np.array(values) for name, values in columns.items()}
    assert list(scores["id"]) == [str(number) for number in range(9)]
    assert scores["is_outlier"].dtype == bool
    np.testing.assert_allclose(
        scores["energy"], model.predict_outlier_score(x), rtol=1e-4
    )
    assert [file.name for file in tmp_path.iterdir()] == [output.name]


def test_a_name_that_is_not_utf_8_is_printed_as_it_is(tmp_path, monkeypatch):
    data = tf.io.encode_png(np.zeros((2, 2, 1), np.uint8)).numpy()
    (tmp_path / "\udcff.png").write_bytes(data)
    model = types.SimpleNamespace(
        example_shape=(2, 2, 1),
        schema=None,
        score=lambda x: {
            "energy": np.array([0.5]),
            "p_value": np.array([1.0]),
            "is_outlier": np.array([False]),
        },
    )
    options = types.SimpleNamespace(
        model="",
        input=str(tmp_path),
        output="-",
        key=None,
        drop=[],
        header="auto",
        batch_size=8,
        max_level=None,
        linked_files=False,
        false_alarm_rate=None,
        on_error="stop",
    )
    printed = io.BytesIO()
    stdout = io.TextIOWrapper(printed, encoding="utf-8")
    monkeypatch.setattr(score.flags, "FLAGS", options)
    monkeypatch.setattr(score, "open_model", lambda options: model)
    monkeypatch.setattr(sys, "stdout", stdout)
    score.main()
    assert printed.getvalue().splitlines()[1:] == [b"\xff.png,0.5,1.0,0"]


@pytest.mark.parametrize(
    ("suffix", "name"), [("npz", "\udcff.png"), ("parquet", "\\xff.png")]
)
def test_columns_keep_what_the_rows_say(suffix, name, tmp_path):
    output = tmp_path / f"scores.{suffix}"
    # The first is how Python has the bytes of a name that is not UTF-8.
    rows = [("\udcff.png", "0.5", "1.0", "0"), ("b", "inf", "0.125", "1")]
    with PartialFile(output) as partial:
        partial.write(rows)
        partial.finish()
    if suffix == "npz":
        arrays = dict(np.load(output))
        columns = {key: array.tolist() for key, array in arrays.items()}
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        columns = parquet.read_table(output).to_pydict()
    assert columns == {
        "id": [name, "b"],
        "energy": [0.5, np.inf],
        "p_value": [1.0, 0.125],
        "is_outlier": [False, True],
    }


def test_a_pickled_array_is_not_loaded(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (pathlib.Path.touch, (tmp_path / "was_run",))

    file = tmp_path / "x.npy"
    np.save(file, np.array([Hostile()], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"not a \.npy file of numbers"):
        open_stream(str(file), (4,), 8)
    assert not (tmp_path / "was_run").exists()
