"""Ranks, intervals and pictures of detectors, against hand-computed numbers."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from stored_cells import printed_rows
from tiny_runs import ROOT

import compare_detectors
from benchmarking.comparison import compare, print_comparison
from benchmarking.detection_cells import cells_of
from benchmarking.detectors import DETECTORS
from benchmarking.ranking import (
    critical_difference,
    friedman_p_value,
    ranks,
    wins,
)
from benchmarking.ranking_figure import ranking_figure
from benchmarking.tables import Table
from reproduction import cells

OURS, FOREST, SVM = "NAEDetector", "IsolationForest", "OneClassSVM"


@pytest.fixture(autouse=True)
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def store(cell, timed=False, **figures):
    origin = {"threads": 2, "commit": "c", "machine": "m", "seconds": 1.0}
    seconds = {"fit_seconds": 0.75, "score_seconds": 0.25}
    counts = {"num_inliers": 30, "num_outliers": 10}
    cell.store(origin | seconds | counts | figures, timed)


def three_tables(detectors=(OURS, FOREST, SVM), seeds=(0,)):
    names = ("a", "b", "c")
    tables = [Table(name, lambda: None, len) for name in names]
    return cells_of("set", tables, detectors, seeds)


def store_figures():
    """Three detectors on three tables; one fails on the last."""
    figures = {
        OURS: (0.8, 0.9, 0.7),
        FOREST: (0.7, 0.9, 0.6),
        SVM: (0.9, 0.4, None),
    }
    wanted = three_tables()
    for cell in wanted:
        value = figures[cell.detector]["abc".index(cell.table.name)]
        if value is None:
            store(cell, failure="ValueError: no")
        else:
            store(cell, auroc=value, average_precision=value / 2)
    return wanted


def test_equal_detectors_share_ranks_and_wins():
    figures = [[0.8, 0.7, 0.9], [0.9, 0.9, 0.4], [0.7, 0.6, -np.inf]]
    np.testing.assert_array_equal(
        ranks(figures), [[2, 3, 1], [1.5, 1.5, 3], [1, 2, 3]]
    )
    np.testing.assert_array_equal(wins(figures), [1.5, 0.5, 1.0])


def test_the_critical_difference_is_nemenyi_s():
    # Demšar (2006), Table 5 (a) and section 3.2.2: 4 classifiers, 14 data sets.
    assert critical_difference(14, 4) == pytest.approx(1.25, abs=0.005)
    q_of_ten = critical_difference(1, 10) / np.sqrt(10 * 11 / 6)
    assert q_of_ten == pytest.approx(3.164, abs=0.001)


def test_friedman_s_p_value_is_that_of_its_statistic():
    # Ranks 1, 2, 3 on each of four tables: chi-squared is 4 * 2 = 8.
    figures = [[0.9, 0.8, 0.7]] * 4
    expected = scipy.stats.chi2.sf(8.0, df=2)
    assert friedman_p_value(figures) == pytest.approx(expected)


def test_the_table_has_means_ranks_and_paired_differences(capsys):
    comparison = compare(store_figures())
    print_comparison(comparison)
    rows, _ = printed_rows(capsys)
    # By hand: the failure counts as 0.5, and its precision as 10 of 40.
    assert rows[OURS][:6] == ["0.800", "0.400", "1.50", "1.5", "2.2", "0.8"]
    assert rows[FOREST][:4] == ["0.733", "0.367", "2.17", "0.5"]
    assert rows[SVM][:4] == ["0.600", "0.300", "2.33", "1"]
    assert comparison.detectors == [OURS, FOREST, SVM]
    differences = np.array([-0.1, 0.0, -0.1])
    half = 4.303 * differences.std(ddof=1) / np.sqrt(3)
    assert rows[FOREST][6] == f"-0.067 ± {half:.3f}"
    assert rows[OURS][6] == "\N{EN DASH}"
    assert rows["c"] == ["0.700 ± 0.000", "0.600 ± 0.000", "failed"]


def test_a_detector_that_is_not_complete_is_left_out(capsys):
    wanted = store_figures()
    wanted[0].stored().unlink()
    comparison = compare(wanted)
    assert comparison.detectors == [FOREST, SVM]
    assert f"{OURS}: 2 of 3 cells" in capsys.readouterr().err
    for cell in wanted[1:]:
        cell.stored().unlink()
    assert compare(wanted) is None


def test_seconds_measured_apart_are_shown_instead():
    wanted = store_figures()
    for cell in wanted:
        store(cell, timed=True, fit_seconds=2.0, score_seconds=3.0)
    comparison = compare(wanted)
    np.testing.assert_allclose(comparison.total_seconds, [[6] * 3, [9] * 3])
    # One is missing: what was measured apart cannot be compared.
    wanted[0].stored(timed=True).unlink()
    np.testing.assert_allclose(
        compare(wanted).total_seconds, [[2.25] * 3, [0.75] * 3]
    )


def test_the_figure_has_a_bar_and_a_point_for_each_detector():
    comparison = compare(store_figures())
    rank_axes, seconds_axes = ranking_figure(comparison).axes
    labels = [label.get_text() for label in rank_axes.get_yticklabels()]
    assert labels == [OURS, FOREST, SVM]
    places = [bar.lines[0].get_xdata()[0] for bar in rank_axes.containers]
    np.testing.assert_allclose(places, [1.5, 13 / 6, 7 / 3])
    points = [tuple(p.get_offsets()[0]) for p in seconds_axes.collections]
    np.testing.assert_allclose(points, [(3, 0.8), (3, 2.2 / 3), (3, 0.6)])
    assert [t.get_text() for t in seconds_axes.texts] == [OURS, FOREST, SVM]


def test_the_command_compares_the_tables_of_a_folder(tmp_path, capsys):
    folder = tmp_path / "tiny"
    folder.mkdir()
    features = np.random.default_rng(0).normal(size=(40, 2))
    features[30:] += 9.0
    np.savez(folder / "far.npz", X=features, y=np.arange(40) >= 30)
    command = [
        f"--tables={folder}",
        "--seeds=0,1",
        f"--detectors={FOREST},FifthNeighbour",
    ]
    figure = tmp_path / "figure.png"
    compare_detectors.main(command)
    first = capsys.readouterr().out
    compare_detectors.main([*command, "--show", f"--figure={figure}"])
    assert capsys.readouterr().out == first
    assert "| FifthNeighbour | 1.000 | 1.000 |" in first
    assert figure.read_bytes().startswith(b"\x89PNG")
    stored = cells.RESULTS / "tables" / "tiny" / FOREST / "far-seed1.json"
    assert json.loads(stored.read_text())["num_train"] == 15


@pytest.mark.slow
def test_pyod_trains_beside_tensorflow(tmp_path):
    pytest.importorskip("pyod", reason="PyOD is not installed")
    pytest.importorskip("torch", reason="PyTorch is not installed")
    folder = tmp_path / "tiny"
    folder.mkdir()
    features = np.random.default_rng(0).normal(size=(80, 4))
    features[70:] += 9.0
    np.savez(folder / "far.npz", X=features, y=np.arange(80) >= 70)
    names = [name for name in DETECTORS if name.startswith("PyOD")]
    # In a process of its own, as the order of imports matters.
    program = (
        "import pathlib, sys, compare_detectors\n"
        "from reproduction import cells\n"
        "cells.RESULTS = pathlib.Path(sys.argv[1])\n"
        "compare_detectors.main(sys.argv[2:])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "results")]
    command += [f"--tables={folder}", "--seeds=0"]
    command += [f"--detectors={','.join(names)}"]
    paths = [str(ROOT), str(ROOT / "tools")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run(command, env=environment, check=True, capture_output=True)
    for name in names:
        file = tmp_path / "results/tables/tiny" / name / "far-seed0.json"
        stored = json.loads(file.read_text())
        assert stored["auroc"] > 0.9, stored
        assert stored["version"].startswith("pyod ")


def test_an_unknown_detector_is_named(capsys):
    with pytest.raises(SystemExit):
        compare_detectors.main(["--detectors=Forest"])
    assert "received Forest" in capsys.readouterr().err
