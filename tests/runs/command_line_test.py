"""How commands begin and end."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from tiny_runs import ROOT

from nae_tf.runs import command_line


@pytest.fixture
def command(monkeypatch):
    """Run an entry point as a command that has no flags of its own."""

    def run(main, *arguments):
        for name in ("define_progress_flags", "use_progress_flags"):
            monkeypatch.setattr(command_line, name, lambda: None)
        monkeypatch.setattr(
            command_line.app, "run", lambda main: main(["command", *arguments])
        )
        command_line.run_command(main)

    return run


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("it is\n  wrong."), "error: it is wrong."),
        (OSError("no room."), "error: no room."),
        (ImportError("not here."), "error: not here."),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_command_ends_expected_errors_in_one_line(error, status, command):
    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        command(main)
    assert end.value.code == status


def test_a_command_ends_silently_when_its_reader_has_gone():
    script = """
    from nae_tf.runs import command_line

    def main():
        for line in range(100_000):
            print(line)

    command_line.run_command(main)
    """
    command = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout.readline() == "0\n"
    command.stdout.close()
    with command.stderr as log:
        assert "Traceback" not in log.read()
    assert command.wait() == 128 + signal.SIGPIPE


def test_a_command_does_its_work_without_standard_output_and_error(tmp_path):
    script = """
    import pathlib
    from nae_tf.runs import command_line, progress

    def main():
        print("a result")
        progress.print_status("a note")
        pathlib.Path("done").touch()

    command_line.run_command(main)
    """
    (tmp_path / "command.py").write_text(textwrap.dedent(script))
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} command.py >&- 2>&-"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0 and (tmp_path / "done").exists()


def test_a_command_shows_the_traceback_of_errors_of_ours(command):
    def main():
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        command(main)


def test_a_command_refuses_a_value_without_a_flag(command):
    with pytest.raises(SystemExit, match=r"unexpected argument 'seed=1'"):
        command(contextlib.nullcontext, "seed=1")
