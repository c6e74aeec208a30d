"""The command nae-tf and its sub-commands, as a shell starts them."""

import importlib
import os
import subprocess
import sys

import pytest
from tiny_runs import ROOT

import nae_tf
from nae_tf.runs.console_script import COMMANDS, module_of

# What installing the package writes for the entry point.
SCRIPT = """
import sys
from nae_tf.runs.console_script import main
sys.exit(main())
"""


@pytest.fixture
def nae_tf_command(tmp_path):
    """Run nae-tf in a folder in which tmp_path / "modules" is importable."""
    (tmp_path / "nae-tf").write_text(SCRIPT)
    modules = tmp_path / "modules"
    modules.mkdir()

    def run(*arguments):
        return subprocess.run(
            [sys.executable, str(tmp_path / "nae-tf"), *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": f"{modules}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def no_tensorflow(tmp_path, nae_tf_command):
    """Make importing TensorFlow or Keras an error."""
    for name in ("tensorflow", "keras"):
        module = tmp_path / "modules" / f"{name}.py"
        module.write_text("raise SystemExit('it was imported')\n")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_the_help_lists_the_commands_without_tensorflow(
    arguments, nae_tf_command, no_tensorflow
):
    done = nae_tf_command(*arguments)
    assert done.returncode == 0 and not done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines()[2:13]]
    assert listed == [
        *(
            "train",
            "evaluate",
            "sample",
            "export",
            "distil",
            "score",
            "beam",
            "recalibrate",
            "monitor",
            "serve",
            "prepare",
        )
    ]


def test_the_version_is_that_of_the_package(nae_tf_command, no_tensorflow):
    done = nae_tf_command("--version")
    assert done.stdout == f"nae-tf {nae_tf.__version__}\n"


@pytest.mark.parametrize(
    ("wrong", "meant"), [("trian", "train"), ("scores", "score")]
)
def test_an_unknown_command_ends_in_a_line_with_the_nearest(
    wrong, meant, nae_tf_command, no_tensorflow
):
    done = nae_tf_command(wrong, "--run_dir=runs/digits")
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: there is no command '{wrong}'")
    assert f"did you mean '{meant}'" in line


def test_the_help_of_a_command_shows_its_flags(nae_tf_command):
    done = nae_tf_command("evaluate", "--help")
    assert done.stdout.startswith("Evaluate a trained run.")
    for flag in ("run_dir", "[no]trust_config", "signal_efficiency"):
        assert f"\n  --{flag}: " in done.stdout
    assert "[no]quiet" in done.stdout and "--gin_file" not in done.stdout


def test_a_command_sees_the_whole_package(tmp_path, nae_tf_command):
    code = "import nae_tf\nprint(nae_tf.NAE.__name__)\n"
    (tmp_path / "modules" / "mine.py").write_text(code)
    (tmp_path / "mine.gin").write_text("import mine\nExperiment.seed = 1\n")
    done = nae_tf_command("train", "--gin_file=mine.gin")
    assert done.stdout == "NAE\n" and done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "not complete" in last


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_module_with_flags_and_main(name):
    module = importlib.import_module(module_of(name))
    assert callable(module.define_flags) and callable(module.main)


@pytest.fixture
def as_command(monkeypatch):
    """This process, as if it were a command, without a level of logging."""
    monkeypatch.setattr(sys, "argv", ["nae-tf train"])
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")  # Restored at the end.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")


def test_logs_of_tensorflow_are_not_the_first_lines(nae_tf_command, as_command):
    done = nae_tf_command("train", "--gin_file=digits.gin", "stray")
    assert done.stderr.startswith("error: unexpected argument 'stray'")


def test_what_is_printed_while_a_command_is_loaded_is_dropped(
    as_command, capfd
):
    with nae_tf._silent_tensorflow():
        os.write(2, b"a log line\n")
    os.write(2, b"a line of ours\n")
    assert capfd.readouterr().err == "a line of ours\n"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


def test_it_is_shown_if_loading_fails(as_command, capfd):
    with (
        pytest.raises(ImportError, match="no such library"),
        nae_tf._silent_tensorflow(),
    ):
        os.write(2, b"a log line\n")
        raise ImportError("no such library")
    assert capfd.readouterr().err == "a log line\n"


def test_it_is_shown_to_those_who_ask_and_to_other_programs(
    as_command, monkeypatch, capfd
):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with nae_tf._silent_tensorflow():
        os.write(2, b"asked for\n")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    monkeypatch.setattr(sys, "argv", ["my_script.py"])
    with nae_tf._silent_tensorflow():
        os.write(2, b"of a script\n")
    assert capfd.readouterr().err == "asked for\nof a script\n"


def test_a_preparation_that_fails_says_so_in_a_line(tmp_path, nae_tf_command):
    pytest.importorskip("importlib_resources")
    done = nae_tf_command(
        *("prepare", "--dataset=mnist", f"--data_dir={tmp_path}/data"),
        f"--import_from={tmp_path}/raw",
    )
    assert done.returncode == 1 and not done.stdout
    last = done.stderr.splitlines()[-1]
    assert last == f"error: there is no folder {tmp_path}/raw to import from."
