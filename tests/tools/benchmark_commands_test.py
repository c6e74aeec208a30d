"""What the comparison of builds prints, and that its commands run."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tiny_runs import ROOT

import benchmark_commands


def test_the_last_build_is_compared_with_the_first_turn_by_turn(capsys):
    before = [{"score": 8.0}, {"score": 9.0}, {"score": 30.0}]
    now = [{"score": 2.0}, {"score": 3.0}, {"score": 5.0}]
    benchmark_commands.show({"before": before, "now": now})
    printed = " ".join(capsys.readouterr().out.split())
    assert printed == "score 9.00 s 3.00 s 4.00 times as fast (3.00 to 6.00)"


def test_images_are_as_many_as_asked_and_differ(tmp_path):
    benchmark_commands.write_images(tmp_path / "many", 3)
    files = sorted((tmp_path / "many").glob("*.png"))
    pixels = [np.asarray(Image.open(file)) for file in files]
    assert len(files) == 3
    assert all(image.shape == (8, 8) for image in pixels)
    assert (pixels[0] != pixels[1]).any()


@pytest.mark.slow
def test_this_build_beside_itself(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "tools" / "benchmark_commands.py"),
            *(f"--checkout={ROOT}", "--number=3", "--repeats=1"),
            f"--json={tmp_path / 'times.json'}",
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seconds = re.findall(r"([\d.]+) s", done.stdout)
    assert len(seconds) == 6
    # TensorFlow is the larger part of what is imported.
    assert 0 < float(seconds[0]) < 2 * float(seconds[1])
    assert (tmp_path / "times.json").exists()
