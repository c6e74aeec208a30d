"""Checkpoints: whole or not there, whatever happens when."""

import pathlib

import pytest
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
