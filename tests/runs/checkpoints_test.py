"""Checkpoints: whole or not there, whatever happens when."""

import hashlib
import pathlib
import shutil
import subprocess
import sys

import pytest
import system_calls
import tensorflow as tf

from nae_tf.runs.checkpoints import (
    CheckpointDirectory,
    DamagedCheckpointError,
    Progress,
    read,
)


def checkpoint(value=0.0):
    return tf.train.Checkpoint(a=tf.Variable([value] * 100), b=tf.Variable(0))


def save(directory, number, **progress):
    directory.save(checkpoint(float(number)), Progress(number, **progress))


def value(saved):
    loaded = checkpoint()
    read(loaded, saved)
    return float(loaded.a[0])


@pytest.fixture
def directory(tmp_path):
    return CheckpointDirectory(tmp_path / "checkpoints")


def test_the_newest_checkpoint_is_read(directory):
    assert directory.newest() is None
    for number in range(12):
        save(directory, number)
    saved = directory.newest()
    assert saved.progress.epoch == 11
    assert value(saved) == 11.0


def test_progress_comes_back_as_it_was(directory):
    progress = Progress(
        epoch=3,
        step=17,
        good=False,
        roll_backs=2,
        best_epoch=2,
        means={"loss": [0.1, float("inf")]},
        callbacks={"KeepBest": {"best": -0.5, "epoch": None}},
        records={"metrics.csv": 512},
    )
    directory.save(checkpoint(), progress)
    assert directory.newest().progress == progress


def test_two_checkpoints_are_kept_and_the_last_good_one(directory):
    save(directory, 0)
    save(directory, 1)
    for number in (2, 3, 4):
        save(directory, number, good=False)
    assert len(list(directory.path.iterdir())) == 3
    assert directory.newest().progress.epoch == 4
    assert directory.newest(good_only=True).progress.epoch == 1
    save(directory, 5)
    assert len(list(directory.path.iterdir())) == 2


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, pathlib.Path.unlink])
@pytest.mark.parametrize("file", ["variables.d*", "*.index", "manifest.json"])
def test_a_damaged_checkpoint_is_named_and_passed_over(
    directory, file, damage, caplog
):
    save(directory, 1)
    save(directory, 2)
    (damaged,) = directory.newest().path.glob(file)
    damage(damaged)
    saved = directory.newest()
    assert saved.progress.epoch == 1
    assert value(saved) == 1.0
    assert str(damaged) in caplog.text
    # The next one makes up for it: two whole ones again.
    save(directory, 3)
    (damaged,) = directory.newest().path.glob(file)
    damage(damaged)
    assert directory.newest().progress.epoch == 1


def test_no_whole_checkpoint_is_one_line(directory):
    save(directory, 1)
    flip_a_bit(directory.newest().path / "manifest.json")
    with pytest.raises(
        DamagedCheckpointError, match=r"manifest\.json"
    ) as error:
        directory.newest()
    assert "\n" not in str(error.value)


# Saves twice, waits for a line, saves a third time, which deletes the first.
SAVE_THRICE = """
import pathlib, sys
from checkpoints_test import CheckpointDirectory, save
directory = CheckpointDirectory(pathlib.Path(sys.argv[1]))
save(directory, 1)
save(directory, 2)
print("ready", flush=True)
sys.stdin.readline()
save(directory, 3)
"""


@pytest.mark.skipif(
    not system_calls.can_trace(), reason="needs ptrace on x86_64 Linux"
)
def test_a_kill_between_any_two_writes_leaves_a_whole_checkpoint(tmp_path):
    """What SIGKILL leaves is what is on the disk at that moment."""
    path = tmp_path / "checkpoints"
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE_THRICE, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            "PYTHONPATH": ":".join(
                [str(pathlib.Path(__file__).parent), *filter(None, sys.path)]
            ),
            "CUDA_VISIBLE_DEVICES": "",
        },
    )
    assert process.stdout.readline() == b"ready\n"
    states = {}

    def keep_a_copy():
        digest = hashlib.sha256()
        for file in sorted(path.rglob("*")):
            digest.update(str(file).encode())
            digest.update(file.read_bytes() if file.is_file() else b"")
        if digest.hexdigest() not in states:
            states[digest.hexdigest()] = tmp_path / f"state{len(states)}"
            shutil.copytree(path, states[digest.hexdigest()])

    assert system_calls.before_every_write(process, keep_a_copy) == 0
    keep_a_copy()
    epochs = []
    for state in states.values():
        left = CheckpointDirectory(state)
        saved = left.newest()
        assert value(saved) == saved.progress.epoch
        epochs.append(saved.progress.epoch)
        save(left, 4)
        assert value(left.newest()) == 4.0
    # Files of TensorFlow appear and are merged, the manifest, the new name,
    # the old checkpoint file by file; and there is one moment of change.
    assert len(epochs) >= 12
    assert set(epochs) == {2, 3}
    assert epochs == sorted(epochs)
