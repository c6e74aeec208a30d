"""A lock is held by one process, and freed however that one ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest
from tiny_runs import ROOT

from nae_tf.runs.locks import ProcessLock

# Takes a lock, says so, and ends with its input.
HOLD = """
import pathlib, sys
from nae_tf.runs.locks import ProcessLock
lock = ProcessLock(pathlib.Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""
# What the versions before filelock did.
FLOCK = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print(True, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(script, path):
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "True\n"
            yield process
        finally:
            process.communicate()


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".lock"


def test_one_process_holds_a_lock_and_others_learn_its_name(path):
    lock = ProcessLock(path)
    with another_process(HOLD, path) as process:
        for _ in range(3):  # An attempt leaves the name as it is.
            assert not lock.acquire()
            name = f"process {process.pid} on {socket.gethostname()}"
            assert lock.holder() == name
    assert lock.acquire()
    lock.release()


def test_a_kill_frees_the_lock(path):
    lock = ProcessLock(path)
    with another_process(HOLD, path) as process:
        assert not lock.acquire()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.exists()
        assert lock.acquire()
        assert lock.holder().startswith(f"process {os.getpid()} on ")
        lock.release()


def test_two_locks_of_one_process_exclude_each_other(path):
    first, second = ProcessLock(path), ProcessLock(path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_process_of_an_older_version_keeps_its_lock(path):
    pytest.importorskip("fcntl")
    path.write_text("process 1 on another machine\n")
    lock = ProcessLock(path)
    with another_process(FLOCK, path):
        assert not lock.acquire()
        assert lock.holder() == "another process"
    assert lock.acquire()
    lock.release()


def test_a_released_lock_has_no_holder(path):
    lock = ProcessLock(path)
    assert lock.acquire()
    lock.release()
    assert [file.name for file in path.parent.iterdir()] == [".lock"]
    lock.delete()
    assert list(path.parent.iterdir()) == []
