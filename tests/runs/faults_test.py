"""Every system call of a save fails once: nothing saved before is lost."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import faulty_saves
import numpy as np
import pytest
import system_calls
from tiny_runs import ROOT, train_autoencoder

pytestmark = pytest.mark.skipif(
    not system_calls.can_trace(), reason="needs ptrace on x86_64 Linux"
)
HELPERS = ROOT / "tests" / "helpers"


def started(script, *arguments, **others):
    """A helper of these tests, as a process."""
    return subprocess.Popen(
        [sys.executable, str(HELPERS / script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "CUDA_VISIBLE_DEVICES": "",
        },
        process_group=0,
        **others,
    )


def saving(folder, *kinds):
    """A process that is ready to save."""
    folder.mkdir()
    process = started("faulty_saves.py", folder, *kinds)
    assert process.stdout.readline() == b"ready\n"
    return process


def faults(folder, *kinds):
    """Number of faults of each kind; the process checks what they leave."""
    process = saving(folder, *kinds)
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


def digest_of(folder):
    """Digest of the names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        digest.update(str(file.relative_to(folder)).encode())
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


def copies_between_writes(path, *kinds):
    """What SIGKILL leaves of saves is what is on the disk at that moment."""
    folder = path / "saves"
    process = saving(folder, *(f"once:{kind}" for kind in kinds))
    copies = {}

    def keep_a_copy():
        digest = digest_of(folder)
        if digest not in copies:
            copies[digest] = path / f"copy{len(copies)}"
            shutil.copytree(folder, copies[digest])

    assert system_calls.before_every_write(process, keep_a_copy) == 0
    keep_a_copy()
    return list(copies.values())


SMALL = ("checkpoint", "results", "rows", "monitor", "scores")


@pytest.fixture(scope="module")
def small_saves(tmp_path_factory):
    """Copies of a process that saves one kind after another."""
    return copies_between_writes(tmp_path_factory.mktemp("small"), *SMALL)


@pytest.mark.parametrize(
    ("kind", "smallest"),
    [
        # Files of TensorFlow appear and are merged, the manifest, the new name,
        # the old checkpoint file by file.
        ("checkpoint", 12),
        ("results", 3),
        ("rows", 2),
        ("monitor", 3),
        ("scores", 5),
        pytest.param("export", 20, marks=pytest.mark.slow),
    ],
)
def test_a_kill_between_any_two_writes_leaves_one_of_both(
    kind, smallest, tmp_path, request
):
    if kind in SMALL:
        copies = request.getfixturevalue("small_saves")
    else:
        copies = copies_between_writes(tmp_path, kind)
    # Those of one kind do not change while another is saved.
    moments = {digest_of(copy / kind): copy / kind for copy in copies}
    print(kind, len(moments))
    numbers = []
    for folder in moments.values():
        left = faulty_saves.KINDS[kind](folder)
        number = left.value()
        numbers.append(number)
        left.save(number + 1)
        assert left.value() == number + 1
    assert len(moments) >= smallest
    # There is one moment of change.
    assert set(numbers) == {2, 3}
    assert numbers == sorted(numbers)


@pytest.mark.slow
def test_trainings_go_on_after_a_fault(tmp_path):
    counts = faults(tmp_path / "runs", "training:1:7")
    print(counts)
    assert counts["training"] >= 20


@pytest.fixture(scope="module")
def commands(tmp_path_factory, exported_vectors):
    """A folder of what commands begin with, by their names."""
    folder = tmp_path_factory.mktemp("commands")
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    for name in ("score", "parquet", "recalibrate", "monitor"):
        shutil.copytree(exported_vectors, folder / name / "export" / "1")
        np.save(folder / name / "x.npy", x)
    train_autoencoder(folder / "export" / "run")
    shutil.copytree(folder / "export" / "run", folder / "evaluate" / "run")
    for name in ("replica", "chief", "worker"):
        (folder / name).mkdir()
    return folder


# Of a hundred and more calls of a training, every so many-th.
@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        *("score:1:3", "parquet:2:4", "monitor:1:4", "recalibrate:3:17"),
        *("export:1:19", "evaluate:2:5", "replica:5:37"),
        *("chief:10:61", "worker:10:61"),
    ],
)
def test_a_command_that_failed_is_given_again(command, commands):
    process = started("faulty_commands.py", commands, command)
    output, _ = process.communicate()
    assert process.returncode == 0
    [(name, count)] = json.loads(output.splitlines()[-1]).items()
    print(name, count)
    assert count >= 3
