"""Scoring on Apache Beam: the rows of nae-tf score, however they are shared.

Needs apache-beam, which no other test does: pip install -e ".[test,beam]".
"""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pyarrow
import pytest
import scipy.stats
import tensorflow as tf
from data_files import write_tfrecord
from pyarrow import parquet
from tiny_models import image_networks
from tiny_runs import NAE_TF, ROOT

from nae_tf import Autoencoder, ExportedModel, score
from nae_tf.data.schema import Schema
from nae_tf.serving import beam_command
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model

beam = pytest.importorskip("apache_beam")
from nae_tf.serving.beam import ExportHandler, export_detector  # noqa: E402

READING = {
    "trust_model": False,
    "key": None,
    "drop": [],
    "header": "auto",
    "batch_size": 16,
    "max_level": None,
    "linked_files": False,
    "false_alarm_rate": None,
}
BEAM = {
    "false_discovery_rate": None,
    "runner": None,
    "beam_options": "",
    "threads": 1,
}
TWO_PROCESSES = (
    "--beam_options=--direct_running_mode=multi_processing "
    "--direct_num_workers=2"
)


def vectors(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 4)).astype(np.float32)


def write(path, x, names="abcd"):
    columns = {name: x[:, i] for i, name in enumerate(names)}
    if path.suffix == ".parquet":
        table = pyarrow.table(columns)
        parquet.write_table(table, path, row_group_size=50)
    elif path.suffix == ".csv":
        rows = "\n".join(",".join(map(str, row)) for row in x.tolist())
        path.write_text(",".join(names) + "\n" + rows + "\n")
    else:
        write_tfrecord(path, [{"x": row} for row in x])


@pytest.fixture
def run(monkeypatch):
    """Run a command in this process."""

    def start(command, model, path, output, **settings):
        options = types.SimpleNamespace(
            model=str(model),
            input=str(path),
            output=str(output),
            **READING | settings,
        )
        monkeypatch.setattr(command.flags, "FLAGS", options)
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS"):
            monkeypatch.setenv(name, "1")  # Restored at the end.
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
        command.main()

    return start


@pytest.fixture
def on_beam(run):
    def start(model, path, output, **settings):
        run(beam_command, model, path, output, **BEAM | settings)

    return start


@pytest.fixture
def alone(run, tmp_path):
    """The rows of nae-tf score."""

    def start(model, path, prefix="", **settings):
        output = tmp_path / "alone" / f"{pathlib.Path(path).name}.csv"
        settings = {"on_error": "record"} | settings
        run(score, model, path, output, **settings)
        names, *rows = rows_of(output)
        return [names, *([prefix + row[0], *row[1:]] for row in rows)]

    return start


def rows_of(path):
    with path.open(newline="", errors="surrogateescape") as file:
        return list(csv.reader(file))


def rows_of_parts(folder):
    """The rows of all files of a folder in order, under one line of names."""
    paths = sorted(folder.iterdir())
    for number, path in enumerate(paths):
        assert path.name == f"part-{number:05d}-of-{len(paths):05d}.csv"
    parts = [rows_of(path) for path in paths]
    return [parts[0][0], *(row for part in parts for row in part[1:])]


def with_small_pieces(monkeypatch):
    """Two batches to a piece of a table."""
    monkeypatch.setattr("nae_tf.serving.pieces.ROWS", 32)
    monkeypatch.setattr("nae_tf.serving.pieces._IMAGES", 32)
    monkeypatch.setattr("nae_tf.serving.shards.ROWS", 32)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "tfrecord"])
def test_rows_are_those_of_the_command_for_one_process(
    suffix, exported_vectors, on_beam, alone, tmp_path, monkeypatch
):
    with_small_pieces(monkeypatch)
    path = tmp_path / f"x.{suffix}"
    write(path, vectors(150))
    on_beam(exported_vectors, path, tmp_path / "out.csv")
    assert rows_of_parts(tmp_path / "out.csv") == alone(exported_vectors, path)
    # Nothing but the output is left.
    assert {p.name for p in tmp_path.iterdir()} == {
        "alone",
        "out.csv",
        path.name,
    }
    assert len(list((tmp_path / "out.csv").iterdir())) == 5


@pytest.fixture(scope="module")
def image_model(tmp_path_factory):
    model = Autoencoder(*image_networks())
    calibration = Calibration(np.linspace(0, 2, 99), 0.1)
    return export_model(model, calibration, tmp_path_factory.mktemp("images"))


def test_damaged_images_lose_no_others(
    image_model, on_beam, alone, tmp_path, monkeypatch
):
    with_small_pieces(monkeypatch)
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(70):
        image = rng.integers(0, 256, (12, 12, 1), np.uint8)
        octets = tf.io.encode_png(image).numpy()
        if number in (3, 40):
            octets = octets[:-30]
        (folder / f"{'b/' * (number % 2)}{number:02}.png").write_bytes(octets)
    # Python's form of a name that is not UTF-8.
    (folder / "\udcff.png").write_bytes(octets)
    on_beam(image_model, folder, tmp_path / "out.csv")
    rows = rows_of_parts(tmp_path / "out.csv")
    assert rows == alone(image_model, folder)
    assert [row for row in rows if row[1] == "nan"] == [
        ["40.png", "nan", "nan", "1"],
        ["b/03.png", "nan", "nan", "1"],
    ]
    assert "\udcff.png" in [row[0] for row in rows]
    faults = rows_of(tmp_path / "out.csv.errors.csv")
    assert [fault[0] for fault in faults] == ["id", "40.png", "b/03.png"]
    assert all("damaged" in fault[1] for fault in faults[1:])


def test_a_row_of_nan_and_a_damaged_file_lose_no_others(
    exported_vectors, on_beam, alone, tmp_path, monkeypatch
):
    with_small_pieces(monkeypatch)
    (tmp_path / "in").mkdir()
    x = vectors(100)
    x[37, 2] = np.nan
    names = ["a.parquet", "b.parquet", "c.tfrecord", "d.csv"]
    for number, name in enumerate(names):
        write(tmp_path / "in" / name, x if number == 0 else vectors(50, number))
    whole = (tmp_path / "in" / "b.parquet").read_bytes()
    (tmp_path / "in" / "b.parquet").write_bytes(whole[:-9])
    whole = (tmp_path / "in" / "c.tfrecord").read_bytes()
    (tmp_path / "in" / "c.tfrecord").write_bytes(whole[:-9])
    output = tmp_path / "out.csv"
    with pytest.raises(ValueError, match="2 files could not be read to their"):
        on_beam(exported_vectors, tmp_path / "in" / "*", output)
    rows = rows_of_parts(output)
    a, d = (
        alone(exported_vectors, tmp_path / "in" / name, f"{name}:")
        for name in ("a.parquet", "d.csv")
    )
    assert a[38] == ["a.parquet:37", "nan", "nan", "1"]
    assert rows[:101] == a and rows[-50:] == d[1:]
    # What comes before the damage, in whole batches.
    assert [row[0] for row in rows[101:-50]] == [
        f"c.tfrecord:{number}" for number in range(48)
    ]
    faults = dict(rows_of(tmp_path / "out.csv.errors.csv")[1:])
    assert list(faults) == ["a.parquet:37", "c.tfrecord", "b.parquet"]
    assert "cannot be read" in faults["b.parquet"]
    assert "is damaged" in faults["c.tfrecord"]


def test_parquet_has_the_columns_of_the_command_for_one_process(
    exported_vectors, run, on_beam, tmp_path
):
    path = tmp_path / "x.parquet"
    write(path, vectors(40))
    on_beam(exported_vectors, path, tmp_path / "out.parquet")
    run(
        score,
        exported_vectors,
        path,
        tmp_path / "alone.parquet",
        on_error="record",
    )
    expected = parquet.read_table(tmp_path / "alone.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").equals(expected)


def test_outliers_are_those_that_scipy_selects(
    exported_vectors, on_beam, tmp_path, monkeypatch
):
    with_small_pieces(monkeypatch)
    x = vectors(300)
    x[::9] *= 8.0
    x[5, 0] = np.nan
    write(tmp_path / "x.parquet", x)
    output = tmp_path / "out.parquet"
    on_beam(
        exported_vectors,
        tmp_path / "x.parquet",
        output,
        false_discovery_rate=0.15,
    )
    columns = parquet.read_table(output).to_pydict()
    p_values = np.array(columns["p_value"])
    selected = np.array(columns["is_outlier"])
    assert columns["id"] == [str(number) for number in range(300)]
    assert np.isnan(p_values[5]) and selected[5]
    scored = ~np.isnan(p_values)
    adjusted = scipy.stats.false_discovery_control(p_values[scored])
    expected = adjusted <= 0.15 * (1 + 1e-6)
    np.testing.assert_array_equal(selected[scored], expected)
    # Neither none nor all, nor those of the threshold of the export, 0.1.
    assert 20 < expected.sum() < 150
    assert (expected != (p_values[scored] <= 0.1)).any()


def with_schema(model_folder, tmp_path, names):
    """Copy an export; the copy knows the names of its features."""
    path = tmp_path / "model"
    shutil.copytree(model_folder, path)
    schema = Schema(shape=(len(names),), names=names)
    (path / "assets.extra").mkdir(exist_ok=True)
    (path / "assets.extra" / "schema.json").write_text(schema.to_json())
    return path


def test_columns_are_put_in_order_and_others_refused_in_a_line(
    exported_vectors, on_beam, alone, tmp_path
):
    model = with_schema(exported_vectors, tmp_path, ("d", "c", "b", "a"))
    x = vectors(20)
    write(tmp_path / "x.parquet", x)
    on_beam(model, tmp_path / "x.parquet", tmp_path / "out.csv")
    rows = rows_of_parts(tmp_path / "out.csv")
    np.testing.assert_allclose(
        [float(row[1]) for row in rows[1:]],
        ExportedModel(exported_vectors).score(x[:, ::-1])["energy"],
        rtol=1e-5,
    )
    write(tmp_path / "y.parquet", x, names="abcx")
    with pytest.raises(ValueError, match=r"lacks the columns \['d'\]") as fault:
        on_beam(model, tmp_path / "y.parquet", tmp_path / "no.csv")
    assert "\n" not in str(fault.value)
    # Without a schema the number of columns tells.
    write(tmp_path / "z.parquet", x[:, :3], names="abc")
    with pytest.raises(ValueError, match="has 3 features, but the model"):
        on_beam(exported_vectors, tmp_path / "z.parquet", tmp_path / "no.csv")
    assert not [p for p in tmp_path.iterdir() if "no.csv" in p.name]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": "x.npz"}, "a folder, received"),
        ({"output": "there.csv"}, "exists already"),
        ({"path": "none.parquet"}, "there is no file"),
        ({"path": "none*.parquet"}, "no file or folder matches"),
        ({"path": "bad.csv"}, "no example could be scored; .*bad.csv, line 2"),
        ({"beam_options": "--direct_workers=2"}, "no option 'direct_workers'"),
        ({"false_discovery_rate": 1.5}, "received 1.5"),
        ({"false_discovery_rate": 0.1, "false_alarm_rate": 0.1}, "one of them"),
    ],
)
def test_a_wrong_setting_ends_in_a_line(
    settings, message, exported_vectors, on_beam, tmp_path
):
    (tmp_path / "there.csv").mkdir()
    write(tmp_path / "x.csv", vectors(3))
    (tmp_path / "bad.csv").write_text("a,b,c,d\n1,2,3,x\n")
    settings = {"output": "new.csv", "path": "x.csv"} | settings
    path = tmp_path / settings.pop("path")
    output = tmp_path / settings.pop("output")
    with pytest.raises((ValueError, OSError), match=message) as fault:
        on_beam(exported_vectors, path, output, **settings)
    assert "\n" not in str(fault.value)


def test_a_failure_leaves_nothing_and_ends_in_a_line(
    exported_vectors, on_beam, tmp_path, monkeypatch
):
    write(tmp_path / "x.csv", vectors(3))

    def fail(*arguments):
        raise OSError("the disk is gone")

    monkeypatch.setattr("nae_tf.serving.beam.score_piece", fail)
    with pytest.raises(
        OSError, match=r"wrote nothing: .*disk is gone"
    ) as fault:
        on_beam(exported_vectors, tmp_path / "x.csv", tmp_path / "out.csv")
    assert "\n" not in str(fault.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_handler_marks_bad_examples_and_scores_the_others(exported_vectors):
    from apache_beam.ml.inference import RunInference

    x = vectors(40)
    x[7, 1] = np.inf
    found = {}
    with beam.Pipeline("FnApiRunner") as pipeline:
        handler = ExportHandler(exported_vectors, max_batch_size=16)
        results = pipeline | beam.Create(list(x)) | RunInference(handler)
        path = exported_vectors.parent / "results.json"
        results | beam.combiners.ToList() | beam.Map(_write_results, path)
    found = json.loads(path.read_text())
    assert len(found) == 40
    examples = np.array([example for example, _ in found], np.float32)
    order = np.lexsort(examples.T), np.lexsort(x.T)
    expected = ExportedModel(exported_vectors).outputs(x)
    for name, values in expected.items():
        np.testing.assert_allclose(
            np.array([outputs[name] for _, outputs in found], float)[order[0]],
            np.asarray(values, float)[order[1]],
            rtol=1e-5,
        )
    [bad] = [outputs for example, outputs in found if np.inf in example]
    assert np.isnan(bad["energy"]) and bad["is_outlier"] and bad["status"] == 1


def _write_results(results, path):
    pairs = [(r.example.tolist(), r.inference) for r in results]
    path.write_text(json.dumps(pairs))


def test_a_detector_of_beam_scores_rows_by_their_names(
    exported_vectors, tmp_path
):
    from apache_beam.ml.anomaly.thresholds import FixedThreshold
    from apache_beam.ml.anomaly.transforms import AnomalyDetection

    model = with_schema(exported_vectors, tmp_path, ("d", "c", "b", "a"))
    x = vectors(30)
    x[::5] *= 9.0
    expected = ExportedModel(exported_vectors).score(x[:, ::-1])
    assert 0 < expected["is_outlier"].sum() < 30
    rows = [
        (
            str(number),
            beam.Row(**dict(zip("abcd", row, strict=True))),
        )
        for number, row in enumerate(x.tolist())
    ]
    for name, criterion, labels in (
        ("own", None, expected["is_outlier"]),
        ("fixed", FixedThreshold(0.9), expected["energy"] >= 0.9),
    ):
        path = tmp_path / name
        with beam.Pipeline("FnApiRunner") as pipeline:
            detector = export_detector(
                str(model), model_id=name, threshold_criterion=criterion
            )
            (
                pipeline
                | beam.Create(rows)
                | AnomalyDetection(detector)
                | beam.combiners.ToList()
                | beam.Map(_write_predictions, path)
            )
        found = json.loads(path.read_text())
        assert len(found) == 30
        for key, energy, label, identifier in found:
            np.testing.assert_allclose(
                energy, expected["energy"][int(key)], rtol=1e-5
            )
            assert label == labels[int(key)] and identifier == name


def _write_predictions(results, path):
    path.write_text(
        json.dumps(
            [
                (key, p.score, p.label, p.model_id)
                for key, result in results
                for p in result.predictions
            ]
        )
    )


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, *NAE_TF, "beam", *arguments, TWO_PROCESSES],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_write_the_rows_of_one(exported_vectors, alone, tmp_path):
    paths = [tmp_path / "in" / f"{number}.parquet" for number in range(4)]
    (tmp_path / "in").mkdir()
    for number, path in enumerate(paths):
        write(path, vectors(1000, number))
    started = command(
        f"--model={exported_vectors}",
        f"--input={tmp_path}/in/*.parquet",
        f"--output={tmp_path}/out.csv",
    )
    _, log = started.communicate()
    assert started.returncode == 0, log
    _, *rows = rows_of_parts(tmp_path / "out.csv")
    expected = [
        row
        for path in paths
        for row in alone(
            exported_vectors, path, f"{path.name}:", batch_size=256
        )[1:]
    ]
    assert rows == expected


@pytest.mark.slow
def test_a_killed_worker_ends_the_command_and_leaves_nothing(
    exported_vectors, tmp_path
):
    x = vectors(2**16)
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "0.csv", x)
    for number in range(1, 40):
        os.link(tmp_path / "in" / "0.csv", tmp_path / "in" / f"{number}.csv")
    started = command(
        f"--model={exported_vectors}",
        f"--input={tmp_path}/in/*",
        f"--output={tmp_path}/out.csv",
    )
    while not list(tmp_path.glob(".out.csv.partial-*/rows-*")):
        assert started.poll() is None
        time.sleep(0.1)
    [worker, *_] = workers_of(started.pid)
    os.kill(worker, signal.SIGKILL)
    _, log = started.communicate()
    assert started.returncode == 1
    last = log.strip().splitlines()[-1]
    assert last.startswith("error: the pipeline failed, and wrote nothing: ")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def workers_of(parent):
    """Processes of workers, which a shell of the command has started."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # It has ended.
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    shells = children.get(parent, [])
    return [pid for shell in shells for pid in children.get(shell, [shell])]
