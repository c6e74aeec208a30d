"""The search of the steps of `NAEDetector` on images: its table."""

import json

import search_image_steps
from reproduction import cells


def test_a_training_that_ended_early_counts_by_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    origin = {"threads": 1, "commit": "abc", "machine": "m", "seconds": 1.0}
    for task, aurocs in [
        ("digits, 1", {"50": 0.7, "100": 0.8, "200": 0.9, "300": 1, "500": 1}),
        ("digits, 3, 60 images", {"50": 0.5, "100": 0.4}),
    ]:
        file = search_image_steps.stored(task, 10, 15)
        file.parent.mkdir(parents=True, exist_ok=True)
        cell = {"AE": 0.6, "before": 0.6, "NAE": aurocs}
        file.write_text(json.dumps(cell | origin))
    shown = search_image_steps.show().splitlines()
    means = "0.600 | 0.600 | 0.600 | 0.600 | 0.650 | 0.700 | 0.700"
    worst = "0.000 | 0.000 | -0.100 | -0.200 | -0.200 | -0.200 | -0.200"
    assert f"| mean | 2 | {means} |" in shown
    assert f"| worst gain | 2 | {worst} |" in shown
