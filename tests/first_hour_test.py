"""Every command and snippet of the guide of the first hour, in their order."""

import csv
import os
import pathlib
import re
import sys

import pytest
from guides import commands
from tiny_runs import NAE_TF, ROOT, run

PAGE = ROOT / "docs" / "guides" / "first_hour.md"
# What keeps the tests short; everything else runs as it stands on the page.
SHORTER = {
    r"pretrain\(x_train": "pretrain(x_train, steps=20",
    r'steps="auto"': "steps=10",
    r"steps_per_epoch=\d+": "steps_per_epoch=1",
}


def shorter(text):
    """The same with shorter trainings."""
    for long, short in SHORTER.items():
        text = re.sub(long, short, text)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a reader who has done all of it."""
    path = tmp_path_factory.mktemp("first_hour")
    here = pathlib.Path.cwd()
    os.chdir(path)
    try:
        snippets = re.findall(
            r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S
        )
        exec(compile(shorter("\n".join(snippets)), str(PAGE), "exec"), {})
    finally:
        os.chdir(here)
    return path


def test_the_snippets_run_and_leave_what_they_say(folder):
    for name in ("normal.csv", "faults.csv", "nae.keras"):
        assert (folder / name).stat().st_size > 0


def test_the_commands_run_and_score_every_row(folder):
    printed = []
    for name, *words in commands(PAGE.name):
        assert name == "nae-tf"
        done = run([sys.executable, *NAE_TF, *map(shorter, words)], folder)
        assert done.returncode == 0, done.stderr
        printed += done.stdout.splitlines()
    table = printed.index("run directory: runs/tumours")
    assert printed[table + 1].startswith("verdict: ")
    assert (folder / "runs" / "tumours" / "report.html").exists()
    with open(folder / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 212  # Malignant tumours.
    assert list(rows[0]) == ["id", "energy", "p_value", "is_outlier"]
