"""What a user installs: sdist and wheel, built without network."""

import email
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest
from tiny_runs import ROOT, TINY_DIGITS

pytest.importorskip("build")
# The environment's own setuptools builds, as there is no index to ask.
pytest.importorskip("setuptools", minversion="77")

OFFLINE = {
    name: value for name, value in os.environ.items() if name != "PYTHONPATH"
} | {"PIP_NO_INDEX": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(*command, cwd):
    """Run a command that has to succeed; return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=OFFLINE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(*patterns):
    """Paths of the repository's files, by git's patterns."""
    try:
        listed = run("git", "ls-files", "-z", *patterns, cwd=ROOT)
    except (AssertionError, FileNotFoundError):
        pytest.skip("not a clone: git does not list the files")
    paths = [path for path in listed.split("\0") if (ROOT / path).is_file()]
    return sorted(paths)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what is in the repository."""
    folder = tmp_path_factory.mktemp("sources")
    for path in tracked(":!tools/results"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


@pytest.fixture(scope="module")
def sdist(sources, tmp_path_factory):
    """The path of the sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    build = (sys.executable, "-m", "build", "--no-isolation")
    run(*build, "--sdist", "--outdir", folder, ".", cwd=sources)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def wheels(sources, sdist, tmp_path_factory):
    """Wheels by where they were built from: "sources" and "sdist"."""
    wheels = {}
    for origin, path in [("sources", sources), ("sdist", sdist)]:
        folder = tmp_path_factory.mktemp(origin)
        options = ("--no-deps", "--no-build-isolation", "--wheel-dir", folder)
        pip = (sys.executable, "-m", "pip", "wheel", *options)
        run(*pip, path, cwd=folder)
        (wheels[origin],) = folder.iterdir()
    return wheels


@pytest.fixture(scope="module")
def wheel(wheels):
    """Files of the wheel by name."""
    with zipfile.ZipFile(wheels["sources"]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory):
    """The folder of an environment's commands, with the wheel installed.

    It has nothing else of its own: dependencies are those of the tests.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--no-deps", wheels["sdist"], cwd=folder)
    dependencies = [
        path
        for path in sys.path
        if pathlib.Path(path).name in ("site-packages", "dist-packages")
    ]
    # Only now: pip takes what it sees there for installed.
    (packages / "dependencies.pth").write_text("\n".join(dependencies) + "\n")
    return folder / "bin"


def test_the_wheel_brings_the_package_and_nothing_beside_it(wheel):
    folders = {name.partition("/")[0] for name in wheel}
    (metadata,) = folders - {"nae_tf"}
    assert metadata.startswith("nae_tf-") and metadata.endswith(".dist-info")


def test_every_module_is_in_the_wheel(wheel):
    modules = sorted(name for name in wheel if name.endswith(".py"))
    assert modules == tracked("nae_tf/*.py")


def test_every_preset_is_in_the_wheel(wheel):
    in_wheel = {
        name.removeprefix("nae_tf/presets/"): content
        for name, content in wheel.items()
        if name.startswith("nae_tf/presets/")
    }
    presets = tracked("gin/*.gin")
    assert in_wheel == {
        path.removeprefix("gin/"): (ROOT / path).read_bytes()
        for path in presets
    }
    assert "digits.gin" in in_wheel and "budgets/smoke.gin" in in_wheel


def test_what_is_no_module_is_in_the_wheel_too(wheel):
    data = {
        name
        for name in wheel
        if name.startswith("nae_tf/")
        and not name.startswith("nae_tf/presets/")
        and not name.endswith(".py")
    }
    assert data == {*tracked("nae_tf", ":!*.py"), "nae_tf/py.typed"}
    assert "nae_tf/evaluation/report.html" in data


def test_an_sdist_builds_the_same_wheel(wheels, wheel):
    with zipfile.ZipFile(wheels["sdist"]) as archive:
        from_sdist = {name: archive.read(name) for name in archive.namelist()}
    assert from_sdist == wheel


def test_the_sdist_has_what_a_build_reads_and_no_results(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE"} <= names
    assert set(tracked("nae_tf", "gin/*.gin")) <= names
    assert not {name for name in names if name.startswith(("tools", "docs"))}


def test_the_metadata_lead_to_the_project(wheel):
    (text,) = [
        content for name, content in wheel.items() if name.endswith("/METADATA")
    ]
    metadata = email.message_from_bytes(text)
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL"))
    assert urls["Repository"] == "https://github.com/nae-tf/nae_tf"
    assert {"Homepage", "Documentation", "Changelog"} <= set(urls)
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_payload().startswith("# nae_tf")  # The README.


def test_the_installed_command_trains_by_a_preset(installed, tmp_path):
    where = run(
        *(installed / "python", "-c", "import nae_tf; print(nae_tf.__file__)"),
        cwd=tmp_path,
    )
    assert pathlib.Path(where.strip()).is_relative_to(installed.parent)
    assert " train " in run(installed / "nae-tf", "--help", cwd=tmp_path)
    printed = run(
        *(installed / "nae-tf", "train"),
        *("--gin_file=digits.gin", "--gin_file=budgets/smoke.gin"),
        *(f"--gin_bindings={binding}" for binding in TINY_DIGITS),
        cwd=tmp_path,
    )
    header, row = printed.strip().splitlines()[:2]
    assert header.split() == ["outliers", "(AUROC)", "AE", "NAE"]
    *name, autoencoder, nae = row.split()
    assert name == ["digit", "4"]
    assert 0 <= float(autoencoder) <= 1 and 0 <= float(nae) <= 1
    assert (tmp_path / "runs" / "digits" / "report.html").exists()
