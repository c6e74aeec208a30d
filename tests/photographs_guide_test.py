"""The guide to photographs, followed word by word in a folder of its own."""

import csv
import json
import re
import sys

import numpy as np
import pytest
from guides import commands
from image_trees import write_tiles, write_tree
from tiny_runs import NAE_TF, ROOT, run

GUIDE = (ROOT / "docs" / "guides" / "photographs.md").read_text()
COMMANDS = commands("photographs.md")
# The shortest training: the guide's own takes minutes.
SHORT = ["--gin_file=budgets/smoke.gin"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder that the commands were given in, and what they said."""
    folder = tmp_path_factory.mktemp("guide")
    write_tiles(folder / "photos" / "good", 40)
    write_tiles(folder / "photos" / "bad", 5, seed=1)
    write_tree(folder / "bottle")
    said = []
    for name, *words in COMMANDS:
        assert name == "nae-tf"
        short = SHORT if words[0] == "train" else []
        done = run([sys.executable, *NAE_TF, *words, *short], folder)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout + done.stderr)
    return folder, said


def test_the_guide_has_four_commands():
    assert [words[1] for words in COMMANDS] == [
        *("train", "export", "score", "train")
    ]


def test_the_guide_quotes_what_was_left_out(folder):
    _, said = folder
    [line] = re.findall(r"^\d+ grey images.*$", GUIDE, flags=re.M)
    assert line in said[0]


def test_files_are_scored_by_the_export(folder):
    folder, _ = folder
    with (folder / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    p_values = np.array([float(row["p_value"]) for row in rows])
    # Of 40 good images four are for thresholds.
    assert set(np.round(p_values * 5)) <= {1, 2, 3, 4, 5}


def test_the_report_of_a_tree_has_metrics_of_pixels(folder):
    folder, said = folder
    run = folder / "runs" / "bottle"
    results = json.loads((run / "results.json").read_text())
    for method in ("AE", "NAE"):
        found = results["methods"][method]["outliers"]["scratch"]
        assert found["localization"]["num_images"] == 8
        assert 0 <= found["localization"]["aupro"] <= 1
    assert "AUPRO" in (run / "report.html").read_text()
    assert "masks, for metrics of pixels only: 8 of 8 'scratch'" in said[3]
