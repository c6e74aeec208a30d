"""Every command and snippet of the guide of the first hour, in their order."""

import csv
import os
import pathlib
import re
import shlex
import sys

import pytest
from tiny_runs import NAE_TF, ROOT, run

PAGE = ROOT / "docs" / "guides" / "first_hour.md"
# What keeps the tests short; everything else runs as it stands on the page.
SHORTER = {
    r"pretrain\(x_train": "pretrain(x_train, steps=20",
    r'steps="auto"': "steps=10",
    r"steps_per_epoch=\d+": "steps_per_epoch=1",
}


def blocks(language):
    """Code of the page in one language, with shorter trainings."""
    pattern = rf"^```{language}\n(.*?)^```$"
    text = "\n".join(re.findall(pattern, PAGE.read_text(), re.M | re.S))
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
        exec(compile(blocks("python"), str(PAGE), "exec"), {})
    finally:
        os.chdir(here)
    return path


def test_the_snippets_run_and_leave_what_they_say(folder):
    for name in ("normal.csv", "faults.csv", "nae.keras"):
        assert (folder / name).stat().st_size > 0


def test_the_commands_run_and_score_every_row(folder):
    command = shlex.join([sys.executable, *NAE_TF])
    prelude = f'nae-tf() {{ {command} "$@"; }}\nset -e\n'
    done = run(["bash", "-c", prelude + blocks("bash")], folder)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    table = printed.index("run directory: runs/tumours")
    assert printed[table + 1].startswith("verdict: ")
    assert (folder / "runs" / "tumours" / "report.html").exists()
    with open(folder / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 212  # Malignant tumours.
    assert list(rows[0]) == ["id", "energy", "p_value", "is_outlier"]
