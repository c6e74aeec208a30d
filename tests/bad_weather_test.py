"""What bad weather leaves behind; bad_input_test.py has what it says."""

import os
import pathlib

import pytest
import tensorflow as tf
from bad_cases.weather import full_disk

from nae_tf.runs.checkpoints import CheckpointDirectory, Progress
from nae_tf.runs.disk import write_atomically
from nae_tf.runs.run_directory import RunDirectory


def test_a_full_disk_leaves_the_checkpoints_before(tmp_path):
    directory = CheckpointDirectory(tmp_path)
    variables = tf.train.Checkpoint(a=tf.Variable(tf.zeros([1000])))
    directory.save(variables, Progress(epoch=1))
    with full_disk(2_000), pytest.raises(OSError, match="Free disk space"):
        directory.save(variables, Progress(epoch=2))
    assert len(list(tmp_path.iterdir())) == 1
    assert directory.newest().progress.epoch == 1
    directory.save(variables, Progress(epoch=3))
    assert directory.newest().progress.epoch == 3


def test_a_lock_that_was_left_behind_is_no_obstacle(tmp_path):
    (tmp_path / ".lock").write_text("process 1 on another machine\n")
    (tmp_path / ".lock.holder").write_text("process 1 on another machine\n")
    with RunDirectory(tmp_path).lock():
        assert str(os.getpid()) in (tmp_path / ".lock.holder").read_text()
    with RunDirectory(tmp_path).lock():
        pass


def test_a_full_disk_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "results.json"
    write_atomically(path, "old")
    with full_disk(100), pytest.raises(OSError, match="Free disk space"):
        write_atomically(path, "new" * 100)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def write_a_file(folder):
    write_atomically(folder / "results.json", "results")
    return folder / "results.json"


def write_a_checkpoint(folder):
    variables = tf.train.Checkpoint(a=tf.Variable(tf.zeros([10])))
    CheckpointDirectory(folder / "phase").save(variables, Progress())
    return folder / "phase" / "00000000"


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc"
)
@pytest.mark.parametrize("write", [write_a_file, write_a_checkpoint])
def test_nothing_has_its_name_before_all_of_it_is_on_the_disk(
    write, tmp_path, monkeypatch
):
    flushed, named = {}, []
    fsync = os.fsync

    def record(descriptor):
        fsync(descriptor)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        flushed[path] = os.fstat(descriptor).st_size

    def checked(rename):
        def check(old, new):
            for path in [pathlib.Path(old), *pathlib.Path(old).rglob("*")]:
                assert flushed.get(str(path)) == path.stat().st_size, path
            flushed.clear()
            named.append(pathlib.Path(new))
            rename(old, new)

        return check

    monkeypatch.setattr(os, "fsync", record)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, checked(getattr(os, name)))
    path = write(tmp_path)
    assert named == [path]
    assert list(flushed) == [str(path.parent)]
