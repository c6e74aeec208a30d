import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import gin
import pytest
from tiny_runs import ROOT

from nae_tf import NAE, LangevinChain
from nae_tf.runs import command_line, configuration, disk, run_directory
from nae_tf.training.experiment import Phase


def test_later_bindings_win_over_files(tmp_path):
    file = tmp_path / "a.gin"
    file.write_text("Phase.epochs = 1\nPhase.optimizer = @Adam\n")
    configuration.parse_config([str(file)], ["Phase.epochs = 2"])
    assert gin.get_configurable(Phase)().epochs == 2


def test_gin_leaves_direct_calls_alone():
    configuration.parse_config([], ["LangevinChain.num_steps = 7"])
    assert LangevinChain(num_steps=3, step_size=0.1).num_steps == 3
    assert NAE.__module__ == "nae_tf.nae"


def test_parsing_forgets_the_configuration_before():
    configuration.parse_config(
        [], ["Phase.epochs = 2", "Phase.optimizer = @Adam"]
    )
    configuration.parse_config([], [])
    with pytest.raises(TypeError):
        gin.get_configurable(Phase)()


def test_a_run_directory_that_holds_something_is_not_overwritten(tmp_path):
    (tmp_path / "config.gin").write_text("seed = 0")
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(FileExistsError, match="already holds another run"):
        run_directory.RunDirectory(tmp_path).begin(resume=False)
    assert (tmp_path / "results.json").read_text() == "{}"


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_begins_where_there_is_nothing_but_what_is_hidden(
    resume, tmp_path
):
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.gin.123").touch()
    assert not run_directory.RunDirectory(tmp_path).begin(resume)


@pytest.mark.parametrize(
    "line",
    [
        "import hostile",
        "from hostile import x",
        "include 'evil.gin'",
        "NAE.seed = 2\nimport hostile",
        "  import hostile",
    ],
)
def test_a_run_directory_runs_no_code_of_its_own(line, tmp_path, monkeypatch):
    mark = tmp_path / "it ran"
    code = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    (tmp_path / "hostile.py").write_text(code)
    (tmp_path / "evil.gin").write_text("import hostile\n")
    (tmp_path / "config.gin").write_text(f"{line}\nNAE.seed = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="could run code") as error:
        run_directory.RunDirectory(tmp_path).load_config()
    assert "\n" not in str(error.value)
    assert not mark.exists()


def test_a_configuration_that_is_trusted_may_include(tmp_path):
    (tmp_path / "more.gin").write_text("NAE.seed = 7\n")
    (tmp_path / "config.gin").write_text("include 'more.gin'\n")
    run_directory.RunDirectory(tmp_path).load_config(trusted=True)
    assert gin.query_parameter("NAE.seed") == 7


def test_an_atomic_write_that_fails_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "results.json"
    disk.write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        disk.write_atomically(path, "new \udc80")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_included_files_are_found_without_a_word(tmp_path, caplog):
    # Another folder with a file of that name was read before.
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "base.gin").write_text("NAE.seed = 8\n")
    configuration.parse_config([str(tmp_path / "other" / "base.gin")])
    (tmp_path / "base.gin").write_text("NAE.seed = 7\n")
    preset = tmp_path / "preset.gin"
    preset.write_text("include 'base.gin'\n")
    with caplog.at_level("ERROR"):
        configuration.parse_config([str(preset)])
    assert not caplog.records
    assert gin.query_parameter("NAE.seed") == 7


# --- Commands -----------------------------------------------------------------


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
