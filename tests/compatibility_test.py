"""What an earlier commit wrote is read by this one, and gives the same numbers.

`compatibility/write_files.py` tells what the files are and how they were made.
Every number has to agree to 1e-6, absolutely and relatively; scores are of
order one. The resumed training too: it is in double precision, in which the
rounding of another processor grows, over ten steps, to nothing that counts.
"""

import concurrent.futures
import csv
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import ROOT, run_module

FOLDER = pathlib.Path(__file__).resolve().parent / "compatibility"
ARCHIVE = FOLDER / "files_162f90b.tar.xz"
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
# Of the model "images": TensorFlow computes structural similarity in single
# precision, whatever it is given; without oneDNN it comes out 1e-6 apart.
TOLERANCE_OF_SIMILARITY = {"rtol": 1e-5, "atol": 1e-5}

with tarfile.open(ARCHIVE) as archive:
    NAMES = [pathlib.PurePath(name) for name in archive.getnames()]
    NUMBERS = json.load(archive.extractfile("numbers.json"))
MODELS = sorted(path.stem for path in NAMES if path.suffix == ".keras")
DETECTORS = sorted(path.stem for path in NAMES if path.suffix == ".pickle")
# Networks that pre-train have two methods in their results.
RUNS = {"digits": ["AE", "NAE"], "vae": ["VAE"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files, untouched."""
    folder = tmp_path_factory.mktemp("files")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """The files after commands have run on them."""
    folder = tmp_path_factory.mktemp("used")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    for results in folder.glob("*/results.json"):
        results.unlink()
    return folder


@pytest.fixture(scope="module")
def commands(used):
    """Finished commands by name: most of their time goes into imports."""
    interrupted = used / "interrupted"
    given = {
        "resume": [
            "train",
            f"--gin_file={interrupted / 'config.gin'}",
            f"--run_dir={interrupted}",
            "--resume",
        ],
        **{name: ["evaluate", f"--run_dir={used / name}"] for name in RUNS},
        "score": [
            "score",
            f"--model={used / 'digits/export/1'}",
            f"--input={used / 'digits.npy'}",
            f"--output={used / 'scores.csv'}",
        ],
    }
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        reading = pool.submit(read_files, used)
        running = {
            name: pool.submit(run_module, *arguments)
            for name, arguments in given.items()
        }
        return {name: run.result() for name, run in running.items()} | {
            "read": reading.result()
        }


def read_files(folder):
    return subprocess.run(
        [sys.executable, FOLDER / "read_files.py", folder],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def read(commands):
    """What `read_files.py` printed."""
    assert commands["read"].returncode == 0, commands["read"].stderr
    return json.loads(commands["read"].stdout.splitlines()[-1])


def common(value, earlier):
    """The part of a value whose names the earlier one has too."""
    if isinstance(value, dict) and isinstance(earlier, dict):
        # Registered names find classes, wherever their modules are.
        names = value.keys() & earlier.keys() - {"module"}
        return {name: common(value[name], earlier[name]) for name in names}
    if isinstance(value, list) and isinstance(earlier, list):
        return [common(*both) for both in zip(value, earlier, strict=True)]
    return value


INTERVAL = {"value", "low", "high"}


def assert_same(value, earlier, where=""):
    """Names and texts are equal, numbers to the tolerance."""
    if isinstance(earlier, dict) and earlier.keys() == INTERVAL:
        assert_same(value["value"], earlier["value"], where)
        # Intervals of few examples became somewhat longer.
        assert earlier["low"] - 0.02 < value["low"] <= earlier["low"], where
        assert earlier["high"] <= value["high"] < earlier["high"] + 0.02, where
    elif isinstance(earlier, dict):
        assert value.keys() >= earlier.keys(), where
        for name in earlier:
            assert_same(value[name], earlier[name], f"{where}/{name}")
    elif isinstance(earlier, list):
        assert len(value) == len(earlier), where
        for index, both in enumerate(zip(value, earlier, strict=True)):
            assert_same(*both, f"{where}/{index}")
    elif isinstance(earlier, float):
        np.testing.assert_allclose(value, earlier, err_msg=where, **TOLERANCE)
    else:
        assert value == earlier, where


def results(run):
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", RUNS)
def test_a_run_is_evaluated(run, files, used, commands):
    assert commands[run].returncode == 0, commands[run].stderr
    assert "carries no schema" in commands[run].stderr
    earlier = results(files / run)
    assert list(earlier["methods"]) == RUNS[run]
    assert_same(results(used / run), earlier)
    assert (used / run / "report.html").exists()


# The build that wrote the files did not know them.
LATER_METRICS = {"sample_gap", "sample_distance"}


def rows(run):
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        return [
            {**row, "seconds": None, "value": float(row["value"])}
            for row in csv.DictReader(file)
            if row["metric"] not in LATER_METRICS
        ]


def final_variables(run):
    newest = max((run / "checkpoints" / "training").iterdir())
    reader = tf.train.load_checkpoint(str(newest / "variables"))
    return {
        name: reader.get_tensor(name).tolist()
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def test_an_interrupted_run_is_resumed(files, used, commands):
    assert commands["resume"].returncode == 0, commands["resume"].stderr
    assert "continuing after epoch 2, step 2" in commands["resume"].stderr
    assert_same(results(used / "interrupted"), results(files / "digits"))
    for state in (rows, final_variables):
        assert_same(state(used / "interrupted"), state(files / "digits"))


@pytest.mark.parametrize("name", MODELS)
def test_a_keras_file_is_loaded(name, files, read):
    model = read["models"][name]
    assert isinstance(model, dict), model
    np.testing.assert_allclose(
        model["scores"],
        NUMBERS["models"][name]["scores"],
        **TOLERANCE_OF_SIMILARITY if name == "images" else TOLERANCE,
    )
    assert_same(model["temperature"], NUMBERS["models"][name]["temperature"])
    with zipfile.ZipFile(files / "models" / f"{name}.keras") as file:
        config = json.loads(file.read("config.json"))
    assert common(model["config"], config) == common(config, config)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_pickled_detector_is_read(name, read):
    detector = read["detectors"][name]
    assert isinstance(detector, dict), detector
    assert_same(detector, NUMBERS["detectors"][name])


def test_an_export_is_loaded(read):
    assert isinstance(read["export"], dict), read["export"]
    assert_same(read["export"], NUMBERS["export"])


def test_an_export_scores_files(used, commands):
    assert commands["score"].returncode == 0, commands["score"].stderr
    assert "carries no schema" in commands["score"].stderr
    with open(used / "scores.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for name in ("energy", "p_value", "is_outlier"):
        np.testing.assert_allclose(
            [float(line[name]) for line in lines],
            NUMBERS["export"][name],
            **TOLERANCE,
        )


def test_keras_knows_every_name(read):
    missing = set(NUMBERS["keras_names"]) - set(read["keras_names"])
    # A learning rate's schedule after a roll-back, in a training's optimizer.
    assert missing <= {"nae_tf>ScaledSchedule"}
    assert set(read["keras_names_of_training"]) >= set(NUMBERS["keras_names"])


def test_gin_knows_every_parameter(read):
    assert read["refused_bindings"] == []
