"""A run directory is not overwritten, and runs no code of its own."""

import pathlib

import gin
import pytest

from nae_tf import LangevinChain  # noqa: F401  It registers its parameters.
from nae_tf.runs import run_directory


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


def test_a_parameter_that_the_code_has_got_since_has_its_default(tmp_path):
    run = run_directory.RunDirectory(tmp_path)
    run.config.write_text("LangevinChain.num_steps = 3\n")
    given = "LangevinChain.num_steps = 3\nLangevinChain.bounds = {}\n"
    run.check_config(given.format(None))
    with pytest.raises(ValueError, match=r"bounds is 4, but .* not set"):
        run.check_config(given.format(4))


@pytest.mark.parametrize(
    ("gin_file", "files", "name"),
    [
        ("gin/digits.gin", [], "digits"),
        ("mnist.gin", ["photos/good", "more"], "photos"),
        ("mnist.gin", ["/data/bottle/train/good"], "bottle"),
        ("mnist.gin", ["photos/*.png"], "photos"),
        ("vectors.gin", ["tables/normal.csv"], "tables"),
        ("vectors.gin", ["normal.csv"], "normal"),
        ("vectors.gin", ["../good"], "good"),
        ("vectors.gin", ["*.csv"], "vectors"),
    ],
)
def test_a_run_is_named_by_its_data(gin_file, files, name):
    path = run_directory.default_run_dir(gin_file, files)
    assert path == pathlib.Path("runs", name)


def test_a_run_of_an_earlier_version_is_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    earlier = pathlib.Path("runs", "vectors")
    earlier.mkdir(parents=True)
    arguments = ("vectors.gin", ["normal.csv"])
    new = run_directory.default_run_dir(*arguments, resume=True)
    assert new.name == "normal"
    (earlier / "config.gin").touch()
    assert run_directory.default_run_dir(*arguments, resume=True) == earlier
    assert run_directory.default_run_dir(*arguments) == new
    new.mkdir()
    assert run_directory.default_run_dir(*arguments, resume=True) == new
