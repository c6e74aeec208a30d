"""The comparison of NAE with its autoencoder: cells stored, gains paired."""

import json

import numpy as np
import pytest
import scipy.stats

import compare_recipe
from reproduction import cells

GAINS = {"digits, 8": 0.1, "digits, 9": 0.06, "wine, cultivar 1": -0.01}


@pytest.fixture
def computed(tmp_path, monkeypatch):
    """Cells in the order in which they were computed."""
    order = []

    def run_cell(route, task, seed):
        order.append((route, task, seed))
        auroc = 0.8 + 0.01 * seed
        return {
            "route": route,
            "task": task,
            "seed": seed,
            "AE": auroc,
            "NAE": auroc + GAINS[task],
            "seconds": 2.0,
        }

    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    monkeypatch.setattr(compare_recipe, "run_cell", run_cell)
    return order


def test_a_killed_comparison_goes_on_with_what_is_missing(computed):
    compare_recipe.main(["--tasks", "digits, 8", "digits, 9"])
    assert len(computed) == 12  # Two routes, three seeds.
    lost = compare_recipe.stored("Keras", "digits, 9", 1)
    lost.unlink()
    compare_recipe.main(["--tasks", "digits, 8", "digits, 9"])
    assert computed[12:] == [("Keras", "digits, 9", 1)]
    cell = json.loads(lost.read_text())
    assert cell["NAE"] == pytest.approx(0.87)
    assert cell["commit"] == cells.commit()


def test_gains_are_paired_by_task(computed, capsys):
    compare_recipe.main(["--tasks", *GAINS, "--routes", "scikit-learn"])
    gains = list(GAINS.values())
    low, high = scipy.stats.t.interval(
        0.95, len(gains) - 1, np.mean(gains), scipy.stats.sem(gains)
    )
    shown = capsys.readouterr().out
    assert (
        f"mean gain over 3 tasks: +0.050 ± {(high - low) / 2:.3f} "
        "(95 %, paired by task); worst -0.010"
    ) in shown
    assert "| digits, 8 | 3 | 0.810 | 0.910 | +0.100 |" in shown
    assert "missing: 15 of 24 cells" in shown
    assert "missing: 24 of 24 cells" in shown.partition("scikit-learn")[0]
    compare_recipe.main(["--show"])
    assert capsys.readouterr().out == shown
    assert len(computed) == 9


def test_nothing_stored_is_said(computed, capsys):
    compare_recipe.main(["--show"])
    assert capsys.readouterr().out.count("missing: 24 of 24 cells") == 2
    assert not computed


@pytest.mark.parametrize("task", ["digits, 8", "breast cancer, malignant"])
def test_the_classes_are_apart_and_the_networks_fit(task):
    train, inliers, outliers = compare_recipe.TASKS[task](0)
    encoder, decoder = compare_recipe.networks(train.shape[1:])
    assert decoder.output_shape == encoder.input_shape
    assert encoder.input_shape[1:] == train.shape[1:]
    rows = np.concatenate([train, inliers, outliers]).reshape(
        [-1, train[0].size]
    )
    assert len(np.unique(rows, axis=0)) == len(rows)
