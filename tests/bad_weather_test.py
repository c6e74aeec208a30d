"""What bad weather leaves behind; bad_input_test.py has what it says."""

import os

import pytest
import tensorflow as tf
from bad_cases.weather import full_disk

from nae_tf.checkpoints import CheckpointDirectory, Progress
from nae_tf.run_lock import run_lock


def test_a_full_disk_leaves_the_checkpoints_before(tmp_path):
    directory = CheckpointDirectory(tmp_path)
    variables = tf.train.Checkpoint(a=tf.Variable(tf.zeros([1000])))
    directory.save(variables, Progress(epoch=1))
    with full_disk(2_000), pytest.raises(OSError, match="Make room"):
        directory.save(variables, Progress(epoch=2))
    assert len(list(tmp_path.iterdir())) == 1
    assert directory.newest().progress.epoch == 1
    directory.save(variables, Progress(epoch=3))
    assert directory.newest().progress.epoch == 3


def test_a_lock_that_was_left_behind_is_no_obstacle(tmp_path):
    (tmp_path / ".lock").write_text("process 1 on another machine\n")
    with run_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()
    with run_lock(tmp_path):
        pass
