"""Every system call of a save fails once: nothing saved before is lost."""

import json
import os
import subprocess
import sys

import pytest
import system_calls
from tiny_runs import ROOT

pytestmark = pytest.mark.skipif(
    not system_calls.can_trace(), reason="needs ptrace on x86_64 Linux"
)


def faults(folder, *kinds):
    """Number of faults of each kind; the process checks what they leave."""
    folder.mkdir()
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "tests" / "helpers" / "faulty_saves.py"),
            str(folder),
            *kinds,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "CUDA_VISIBLE_DEVICES": "",
        },
    )
    assert process.stdout.readline() == b"ready\n"
    assert system_calls.with_faults(process, folder) == 0
    return json.loads(process.stdout.read().splitlines()[-1])


def test_every_call_of_small_saves_fails_once(tmp_path):
    counts = faults(tmp_path / "saves", "checkpoint", "results", "rows")
    # Files and their folder are opened, written, flushed, named and deleted.
    assert counts["checkpoint"] >= 2 * 20
    assert counts["results"] >= 2 * 4
    assert counts["rows"] >= 2 * 2


@pytest.mark.slow
def test_every_call_of_other_saves_fails_once(tmp_path):
    counts = faults(tmp_path / "saves", "monitor", "scores", "export")
    print(counts)
    assert counts["export"] >= 2 * 20
    assert counts["scores"] >= 2 * 6


@pytest.mark.slow
def test_trainings_go_on_after_a_fault(tmp_path):
    counts = faults(tmp_path / "runs", "training:1:7")
    print(counts)
    assert counts["training"] >= 20
