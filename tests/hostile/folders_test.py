"""Run directories and exports of strangers lead nowhere else."""

import contextlib
import os
import pathlib
import shutil
import zipfile

import keras
import pytest
from tiny_models import vector_networks

from nae_tf import Autoencoder
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.serving import ExportedModel
from nae_tf.serving.watched import read_calibration


def run_of(path):
    path.mkdir()
    (path / "config.gin").write_text("")
    return RunDirectory(path)


@pytest.mark.parametrize("name", ["metrics.csv", "config.gin", "schema.json"])
def test_a_pipe_in_a_run_directory_is_not_waited_for(name, tmp_path):
    run = run_of(tmp_path / "run")
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    for trusted in (False, True):
        with pytest.raises(ValueError, match=f"{name}' is a pipe or a device"):
            run.load_config(trusted)
    with pytest.raises(ValueError, match="is a pipe or a device"):
        run.begin(resume=True)


def test_a_configuration_that_is_a_link_is_not_read(tmp_path):
    run = run_of(tmp_path / "run")
    (tmp_path / "secret").write_text("import secret")
    run.config.unlink()
    run.config.symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="link that leads out") as caught:
        run.load_config()
    assert "import secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["assets.extra/schema.json", "variables/variables.index"]
)
def test_a_pipe_in_an_export_is_not_waited_for(
    name, exported_vectors, tmp_path
):
    path = tmp_path / "1"
    shutil.copytree(exported_vectors, path)
    (path / name).unlink(missing_ok=True)
    os.mkfifo(path / name)
    for trusted in (False, True):
        with pytest.raises(ValueError, match="is a pipe or a device"):
            ExportedModel(path, trusted)


def test_a_calibration_that_is_a_pipe_is_missing(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    os.mkfifo(tmp_path / "assets.extra" / "calibration.json")
    with pytest.raises(FileNotFoundError, match="is missing"):
        read_calibration(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "assets/../../outside"])
def test_an_archive_of_keras_writes_nothing_elsewhere(name, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    path = folder / "model.keras"
    model = Autoencoder(*vector_networks())
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "written")
    # Whether it is loaded or refused is Keras's choice.
    with contextlib.suppress(ValueError):
        keras.saving.load_model(path)
    assert [file.name for file in tmp_path.iterdir()] == ["given"]
    assert [file.name for file in folder.iterdir()] == ["model.keras"]
    assert not pathlib.Path("outside").exists()
