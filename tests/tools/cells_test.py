"""A cell that is interrupted goes on, and is stored with all its sittings."""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import tensorflow as tf
from run_ends import rows, send_once
from tiny_runs import ROOT, TINY_AUTOENCODER

from nae_tf.runs import run_directory
from nae_tf.runs.checkpoints import CheckpointDirectory
from nae_tf.runs.run_directory import RunDirectory
from reproduction import cells
from reproduction.learning_curve import selection_metrics

ORIGIN = {"threads": 1, "commit": "first", "machine": "a machine"}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder with the configurations, for runs and results of cells."""
    (tmp_path / "gin").symlink_to(ROOT / "gin")
    monkeypatch.setattr(cells, "REPOSITORY", tmp_path)
    monkeypatch.setattr(cells, "RESULTS", tmp_path / "results")
    return tmp_path


def tiny_cell(name, *bindings):
    return cells.Cell(name, ("gin/digits.gin",), (*TINY_AUTOENCODER, *bindings))


def sittings(cell):
    return json.loads((cell.run_dir / ".sittings.json").read_text())


def figures_without_seconds(cell):
    return [{**row, "seconds": None} for row in rows(cell.run_dir)]


def test_an_interrupted_cell_goes_on(repository, monkeypatch):
    alone = cells.run_cell(tiny_cell("alone"), ORIGIN)
    cell = tiny_cell("interrupted")
    with monkeypatch.context() as patch:
        send_once(patch, lambda *at: at == (2, 3))
        with pytest.raises(SystemExit):
            cells.run_cell(cell, ORIGIN)
    assert cell.results() is None
    monkeypatch.setattr(cells, "_trained_seconds", lambda run: 1_000.0)
    results = cells.run_cell(cell, ORIGIN | {"commit": "second"})
    assert cell.results() == results
    assert results["commit"] == "first, second"
    assert results["machine"] == "a machine"
    assert 1_000 <= results["seconds"] < 1_100
    assert results["auroc"] == alone["auroc"]
    steps = [row["step"] for row in rows(cell.run_dir)]
    assert steps == sorted(steps, key=int)
    assert figures_without_seconds(cell) == figures_without_seconds(
        tiny_cell("alone")
    )


def test_the_seconds_of_the_sittings_before_are_those_trained(
    repository, monkeypatch
):
    cell = tiny_cell("interrupted")
    send_once(monkeypatch, lambda *at: at == (2, 3))
    with pytest.raises(SystemExit):
        cells.run_cell(cell, ORIGIN)
    seconds = cells._trained_seconds(run_directory.RunDirectory(cell.run_dir))
    last = float(rows(cell.run_dir)[-1]["seconds"])
    assert last - 0.1 < seconds < last + 10


def test_a_run_of_another_configuration_is_left_alone(repository, monkeypatch):
    cell = tiny_cell("changed")
    with monkeypatch.context() as patch:
        send_once(patch, lambda *at: at == (2, 3))
        with pytest.raises(SystemExit):
            cells.run_cell(cell, ORIGIN)
    before = (cell.run_dir / "metrics.csv").read_bytes()
    changed = tiny_cell("changed", "training/Phase.batch_size=32")
    with pytest.raises(
        RuntimeError,
        match=r"batch_size is 32, but .* has 64;.*remove .*changed",
    ):
        cells.run_cell(changed, ORIGIN | {"commit": "refused"})
    assert (cell.run_dir / "metrics.csv").read_bytes() == before
    assert changed.results() is None
    assert sittings(cell) == [ORIGIN]


def test_a_run_in_use_is_not_to_be_removed(repository):
    cell = tiny_cell("used")
    cell.run_dir.mkdir(parents=True)
    with (
        RunDirectory(cell.run_dir).lock(),
        pytest.raises(
            RuntimeError, match=r"^used failed: .* in use by .*"
        ) as error,
    ):
        cells.run_cell(cell, ORIGIN)
    assert "remove" not in str(error.value)
    assert sittings(cell) == []


def test_who_began_an_old_run_is_not_known(repository, monkeypatch):
    cell = tiny_cell("old")
    cells.run_cell(cell, ORIGIN)
    cell.stored.unlink()
    (cell.run_dir / ".sittings.json").unlink()
    assert cells.run_cell(cell, ORIGIN)["commit"] == "unknown, first"


def test_a_trial_stores_no_figure_of_test_data(repository):
    cell = dataclasses.replace(
        tiny_cell("trial", "training/Phase.keep='last'"),
        measure=selection_metrics,
        keeps_test_metrics=False,
    )
    results = cells.run_cell(cell, ORIGIN)
    (kept,) = results["selection"].values()
    last = {row["metric"]: row for row in rows(cell.run_dir)}
    assert results.keys() == {
        *("task", "seed", "selection", "bindings", "settings", "seconds"),
        *ORIGIN,
    }
    assert kept == {
        "epoch": 4,
        "step": 20,
        "seconds": float(last["loss"]["seconds"]),
        "selection_auroc": float(last["selection_auroc"]["value"]),
        "validation_error": float(last["val_reconstruction_error"]["value"]),
    }


def test_failures_do_not_stop_the_other_cells(repository, monkeypatch):
    """Threads in the place of workers, which would not see the patches."""
    monkeypatch.setattr(
        cells.concurrent.futures,
        "ProcessPoolExecutor",
        lambda jobs, **unused: cells.concurrent.futures.ThreadPoolExecutor(
            jobs
        ),
    )
    monkeypatch.setattr(cells.os, "environ", dict(os.environ))
    ran = []

    def run(cell, origin):
        ran.append(cell.name)
        if cell.name == "b":
            raise RuntimeError("b failed: so it is.")
        return {"seconds": 1}

    monkeypatch.setattr(cells, "run_cell", run)
    with pytest.raises(RuntimeError, match=r"^b failed: so it is\.$"):
        cells.run_missing(map(tiny_cell, "abc"), jobs=1)
    assert ran == ["a", "b", "c"]


DRIVER = """
    import sys
    from reproduction.cells import Cell, run_missing

    if __name__ == "__main__":
        names, *bindings = sys.argv[1:]
        files = ("gin/digits.gin",)
        cells = [Cell(n, files, tuple(bindings)) for n in names.split(",")]
        run_missing(cells, jobs=1)
"""


def worker_of(pid):
    """Id of the process that trains for a tool."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return next(
        int(child)
        for child in children.split()
        if b"spawn_main" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
    )


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        # To the worker alone, which is done before the tool hears of it.
        pytest.param(None, marks=pytest.mark.slow),
    ],
)
def test_the_tool_ends_its_workers_with_saved_progress(number, tmp_path):
    (tmp_path / "gin").symlink_to(ROOT / "gin")
    shutil.copytree(
        ROOT / "tools" / "reproduction", tmp_path / "tools" / "reproduction"
    )
    driver = tmp_path / "tools" / "driver.py"
    driver.write_text(textwrap.dedent(DRIVER))
    command = [sys.executable, str(driver), "first,second", *TINY_AUTOENCODER]
    command.append("training/Phase.epochs=100_000")
    tool = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run = tmp_path / "runs" / "reproduce" / "first"
    metrics = run / "metrics.csv"
    deadline = time.monotonic() + 240
    while not metrics.exists() or metrics.stat().st_size < 1_000:
        assert tool.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    if number == signal.SIGINT:  # A terminal sends it to all of them.
        os.killpg(tool.pid, number)
    elif number is None:
        os.kill(worker_of(tool.pid), signal.SIGTERM)
    else:
        tool.send_signal(number)
    errors = tool.communicate(timeout=240)[1]
    assert tool.returncode == 75, errors
    assert "the same command continues it" in errors
    assert "Traceback" not in errors
    newest = CheckpointDirectory(run / "checkpoints" / "training").newest()
    saved = (newest.progress.epoch, newest.progress.step)
    # Up to the last step, as the rows say.
    written = int(metrics.read_text().splitlines()[-1].split(",")[1])
    assert written == saved[0]
    assert not (run.parent / "second").exists()
    assert not list((tmp_path / "tools" / "results").rglob("*.json"))
    log = run.with_name("first.log").read_text()
    assert "SIGTERM: the progress" in log or "SIGINT: the progress" in log
    assert len(json.loads((run / ".sittings.json").read_text())) == 1


def test_only_changed_code_marks_the_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "REPOSITORY", tmp_path)
    assert cells.commit() == "unknown"

    def git(*command):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run(
            ["git", *identity, *command],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    (tmp_path / "docs").mkdir()
    figure, code = tmp_path / "docs" / "figure", tmp_path / "code"
    figure.write_text("")
    code.write_text("")
    git("init")
    git("add", ".")
    git("commit", "-m", "First")
    first = git("rev-parse", "--short", "HEAD")
    figure.write_text("drawn again")
    (tmp_path / "log").write_text("")
    assert cells.commit() == first
    code.write_text("changed")
    assert cells.commit() == f"{first}-dirty"


def test_the_origin_names_the_threads_given_or_in_use(monkeypatch):
    monkeypatch.setattr(cells, "commit", lambda: "abc")
    monkeypatch.setattr(cells, "machine", lambda: "m")
    threading = tf.config.threading
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    for in_use, given, named in [(0, None, 7), (3, None, 3), (3, 2, 2)]:
        monkeypatch.setattr(
            threading, "get_intra_op_parallelism_threads", lambda n=in_use: n
        )
        expected = {"threads": named, "commit": "abc", "machine": "m"}
        assert cells.current_origin(given) == expected


def test_every_commit_is_named_once():
    results = [
        {"commit": commit, "machine": "m", "seconds": 60, "threads": 1}
        for commit in ("bbb", "aaa, ccc", "aaa, bbb")
    ]
    assert cells.provenance(results) == (
        "3 trainings, 60 s each on 1 thread(s) of m; commit aaa, bbb, ccc."
    )


def test_an_interval_is_student_s_of_the_mean():
    # 4.303 is the 0.975 quantile of two degrees of freedom, in any table.
    mean, half_width = cells.mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half_width == pytest.approx(4.303 / math.sqrt(3), rel=1e-4)
    mean, half_width = cells.mean_interval([0.5])
    assert mean == 0.5 and math.isnan(half_width)


def test_stored_cells_are_not_trained_again(repository, monkeypatch):
    cell = tiny_cell("stored")
    cell.stored.parent.mkdir(parents=True)
    cell.stored.write_text("{}")
    monkeypatch.setattr(cells.concurrent.futures, "ProcessPoolExecutor", None)
    cells.run_missing([cell], jobs=1)


def test_results_name_the_gpus(monkeypatch):
    gpus = [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")] * 2
    monkeypatch.setattr(
        tf.config, "list_physical_devices", {"GPU": gpus}.__getitem__
    )
    details = iter([{"device_name": "A GPU"}, {}])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: next(details)
    )
    assert cells.machine().endswith(
        f"{os.cpu_count()} cores, A GPU, /physical_device:GPU:0"
    )
