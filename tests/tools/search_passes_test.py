"""The search of the recipe's limit: steps, rates and its table."""

import json
import math

import pytest

import search_passes
from reproduction import cells


@pytest.mark.parametrize(
    ("limit", "rows", "steps"), [("15", 60, 15), ("15", 9_999, 500)]
)
def test_a_limit_is_in_passes(limit, rows, steps):
    assert search_passes.steps_of(limit, 500, rows) == steps
    assert search_passes.steps_of("none", 500, rows) == 500


def test_the_rate_is_a_cosine_of_the_length_that_is_set():
    rate = search_passes.CosineOfLength()
    for steps in (10, 400):
        rate.steps.assign(steps)
        quarter = 1e-3 * (1 + math.cos(math.pi / 4)) / 2
        assert float(rate(steps // 4)) == pytest.approx(
            1e-3 * (1 + math.cos(math.pi * (steps // 4) / steps)) / 2
        )
        assert float(rate(steps)) == pytest.approx(0, abs=1e-9)
    assert float(rate(100)) == pytest.approx(quarter)


def test_the_table_has_means_and_the_worst_gain(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    for task, limited in [(("WBC", None), 0.9), (("Stamps", None), 0.7)]:
        file = search_passes.stored(task, 10, "none")
        file.parent.mkdir(parents=True, exist_ok=True)
        cell = {"AE": 0.8, "NAE": {"15": limited}, "seconds": 1.0}
        origin = {"threads": 1, "commit": "abc", "machine": "m"}
        file.write_text(json.dumps(cell | origin))
    shown = search_passes.show().splitlines()
    assert "| mean | 2 | 0.800 | 0.800 |" in shown
    assert "| worst gain | 2 | 0.000 | -0.100 |" in shown
