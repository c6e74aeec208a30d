"""Signals that come while a command is being imported."""

import os
import signal
import subprocess
import sys

import pytest
from tiny_runs import ROOT

TRAIN = [sys.executable, "-m", "nae_tf.train", "--gin_file=digits.gin"]
SCRIPT = [
    *(sys.executable, "-c"),
    "import sys; sys.argv[0] = 'nae-tf'; "
    "from nae_tf.runs.console_script import main; main()",
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "command", [TRAIN, [*SCRIPT, "train", "--gin_file=digits.gin"]]
)
def test_a_training_ends_with_its_status_before_tensorflow_is_there(
    command, number, tmp_path
):
    completed = interrupted(command, number, tmp_path)

    assert completed.returncode == 75
    assert completed.stderr == b""


def test_other_commands_end_as_python_does(tmp_path):
    completed = interrupted(
        [*SCRIPT, "export", "--run_dir=runs/digits"], signal.SIGTERM, tmp_path
    )

    assert completed.returncode == -signal.SIGTERM


def interrupted(command, number, folder):
    """Run a command that gets a signal where it would import TensorFlow."""
    for name in ("keras", "tensorflow"):
        (folder / f"{name}.py").write_text(
            "import os, sys, time\n"
            "print('noise of an import', file=sys.stderr)\n"
            f"os.kill(os.getpid(), {int(number)})\n"
            "time.sleep(60)\n"
        )
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        command,
        cwd=folder,
        env={
            name: value
            for name, value in os.environ.items()
            if name != "TF_CPP_MIN_LOG_LEVEL"
        }
        | {"PYTHONPATH": path},
        capture_output=True,
        timeout=60,
    )
