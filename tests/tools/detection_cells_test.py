"""Splits of tables, and cells of detectors, stored one by one."""

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarking import detection_cells
from benchmarking.detection_cells import cells_of, run_missing, run_timed
from benchmarking.detectors import DETECTORS, Detector, FifthNeighbour
from benchmarking.tables import Table, tables_of_folder, tables_of_scikit_learn
from reproduction import cells


@pytest.fixture(autouse=True)
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(detection_cells, "_SECONDS_BETWEEN", 0.0)
    return tmp_path / "results"


def write_table(folder, name="table", num_inliers=9, num_outliers=3):
    """Inliers 0, 1, ... and outliers 100, 101, ..., in one feature."""
    inliers, outliers = np.arange(num_inliers), 100 + np.arange(num_outliers)
    labels = np.repeat([0, 1], [num_inliers, num_outliers])
    folder.mkdir(exist_ok=True)
    features = np.concatenate([inliers, outliers])[:, None]
    np.savez(folder / f"{name}.npz", X=features.astype("uint8"), y=labels)


class Value:
    """A detector whose score is the only feature, low for outliers."""

    fits = 0

    def fit(self, X):
        Value.fits += 1

    def score_samples(self, X):
        return -X[:, 0]


class Failing(Value):
    def fit(self, X):
        raise MemoryError("too\nlarge")


@pytest.fixture
def tiny_detectors(monkeypatch):
    monkeypatch.setattr(Value, "fits", 0)
    monkeypatch.setitem(DETECTORS, "Value", Detector(lambda *_: Value()))
    monkeypatch.setitem(DETECTORS, "Failing", Detector(lambda *_: Failing()))


def test_half_of_the_inliers_train_and_the_others_are_tested(tmp_path):
    write_table(tmp_path / "tables")
    (table,) = tables_of_folder(tmp_path / "tables")
    split = table.split(seed=7)
    # The protocol, word by word.
    r = np.random.default_rng(7)
    inliers, outliers = r.permutation(9), 100 + r.permutation(3)
    np.testing.assert_array_equal(split.train[:, 0], inliers[:4])
    np.testing.assert_array_equal(split.inliers[:, 0], inliers[4:])
    np.testing.assert_array_equal(split.outliers[:, 0], outliers)
    assert split.train.dtype == "float64"


def test_large_tables_are_cut():
    labels = np.repeat([False, True], [30_000, 12_000])
    rows = np.arange(42_000)[:, None], labels
    table = Table("large", lambda: rows, lambda n: n // 2, 2_000, 10_000)
    split = table.split(seed=0)
    assert len(split.train) == 2_000
    assert len(split.inliers) == len(split.outliers) == 10_000
    # What is tested is of the other half, not the rest of the first one.
    other_half = np.random.default_rng(0).permutation(30_000)[15_000:25_000]
    np.testing.assert_array_equal(split.inliers[:, 0], other_half)


def test_seventy_percent_of_scikit_learn_s_inliers_train():
    breast_cancer = tables_of_scikit_learn()[0].split(0)
    # 357 benign and 212 malignant, says scikit-learn.
    assert len(breast_cancer.train) == 250
    assert len(breast_cancer.inliers) == 107
    assert len(breast_cancer.outliers) == 212


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros([3, 2])}, "expected an .npz file with arrays X and y"),
        ({"X": np.zeros(3), "y": [0, 0, 1]}, r"numbers \[rows, features\]"),
        ({"X": np.zeros([3, 1]), "y": [0, 1, -1]}, "0 .inlier. or 1 .outlier."),
        ({"X": np.zeros([3, 1]), "y": [0, 1]}, "for each of 3 rows"),
        ({"X": np.zeros([3, 1]), "y": [0, 0, 0]}, "received 3 and 0"),
    ],
)
def test_a_bad_table_is_named(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    (table,) = tables_of_folder(tmp_path)
    with pytest.raises(ValueError, match=rf"bad\.npz: .*{message}"):
        table.split(0)


def test_a_folder_without_tables_is_named(tmp_path):
    with pytest.raises(ValueError, match="found none in"):
        tables_of_folder(tmp_path)


def test_cells_have_the_figures_of_scikit_learn(results_folder):
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 2))
    features[40:] += 1.0
    labels = np.arange(60) >= 40
    table = Table("mixed", lambda: (features, labels), lambda n: n // 2)
    run_missing(cells_of("set", [table], ["FifthNeighbour"], [3]))
    stored = json.loads(
        (
            results_folder / "tables/set/FifthNeighbour/mixed-seed3.json"
        ).read_text()
    )
    # The distance by hand, after the standard score.
    split = table.split(3)
    tested = np.concatenate([split.inliers, split.outliers])
    differences = (tested[:, None] - split.train) / split.train.std(axis=0)
    scores = np.sort(np.linalg.norm(differences, axis=2))[:, 4]
    is_outlier = np.arange(40) >= 20
    assert stored["auroc"] == pytest.approx(roc_auc_score(is_outlier, scores))
    assert stored["average_precision"] == pytest.approx(
        average_precision_score(is_outlier, scores)
    )
    assert (stored["num_train"], stored["num_outliers"]) == (20, 20)
    assert {"commit", "machine", "threads", "fit_seconds"} <= set(stored)
    assert stored["seconds"] >= stored["fit_seconds"] > 0


def test_a_stored_cell_is_not_computed_again(tmp_path, tiny_detectors):
    write_table(tmp_path / "tables")
    tables = tables_of_folder(tmp_path / "tables")
    run_missing(cells_of("set", tables, ["Value"], [0]))
    run_missing(cells_of("set", tables, ["Value"], [0, 1]))
    assert Value.fits == 2


def test_a_failure_is_stored_and_ends_nothing(tmp_path, tiny_detectors, capsys):
    write_table(tmp_path / "tables")
    wanted = cells_of(
        "set", tables_of_folder(tmp_path / "tables"), ["Failing", "Value"], [0]
    )
    run_missing(wanted)
    failing, value = (cell.results() for cell in wanted)
    assert failing["failure"] == "MemoryError: too large"
    assert "auroc" not in failing
    assert value["auroc"] == value["average_precision"] == 1.0
    assert "MemoryError: too large" in capsys.readouterr().err


def test_seconds_are_stored_apart(tmp_path, tiny_detectors, results_folder):
    write_table(tmp_path / "tables")
    wanted = cells_of(
        "set", tables_of_folder(tmp_path / "tables"), ["Value"], [0]
    )
    run_timed(wanted)
    run_timed(wanted)
    # The first fit of each call is not measured.
    assert Value.fits == 4
    assert wanted[0].results() is None
    timed = wanted[0].results(timed=True)
    assert timed["seconds"] >= 0 and "auroc" not in timed
    assert [p.name for p in results_folder.iterdir()] == ["table_seconds"]


def test_detectors_take_turns_on_a_table(tmp_path):
    for name in ("a", "b"):
        write_table(tmp_path / "tables", name)
    wanted = cells_of(
        "set", tables_of_folder(tmp_path / "tables"), ["X", "Y"], [0]
    )
    turns = [(cell.table.name, cell.detector) for cell in wanted]
    assert turns == [("a", "X"), ("a", "Y"), ("b", "X"), ("b", "Y")]


@pytest.mark.parametrize(
    "name", [n for n, d in DETECTORS.items() if d.package == "scikit-learn"]
)
def test_outliers_score_high(name):
    random = np.random.default_rng(0)
    line = np.linspace(-1, 1, 100)[:, None] * [1.0, 2.0, 3.0]
    inliers = line + 0.1 * random.normal(size=line.shape)
    split = detection_cells.Split(inliers[::2], inliers[1::2], inliers + 9.0)
    found = detection_cells.evaluate(DETECTORS[name], split, 0)
    assert found["auroc"] > 0.99
    assert ("standardscaler" in str(DETECTORS[name].build(0, 3)).lower()) == (
        name != "IsolationForest"
    )


def test_the_fifth_neighbour_is_the_fifth():
    neighbours = FifthNeighbour().fit(
        np.array([[0.0], [1], [2], [3], [9], [7]])
    )
    np.testing.assert_allclose(neighbours.score_samples([[0.0]]), [-7.0])
