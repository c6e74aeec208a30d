"""Presets are found by name, and so is what they include."""

import gin
import pytest
from tiny_runs import ROOT

from nae_tf.runs import configuration

PRESETS = sorted(
    path.relative_to(ROOT / "gin").as_posix()
    for path in (ROOT / "gin").rglob("*.gin")
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("prefix", ["", "gin/"])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_found_by_its_name(preset, prefix):
    assert configuration.find_config(prefix + preset) == str(
        ROOT / "gin" / preset
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_a_file_of_ones_own_includes_a_preset(preset, tmp_path):
    (tmp_path / "own.gin").write_text(f"include '{preset}'\n")
    # Methods and budgets need a preset before them.
    configuration.parse_config(["digits.gin", "own.gin"])
    ours = gin.config_str()
    configuration.parse_config(["digits.gin", preset])
    assert ours == gin.config_str()


def test_a_file_that_is_given_comes_before_a_preset(tmp_path):
    (tmp_path / "digits.gin").write_text("NAE.seed = 7\n")
    configuration.parse_config(["digits.gin"])
    assert gin.query_parameter("NAE.seed") == 7
    assert "latent_dim" not in gin.config_str()


def test_a_preset_includes_what_lies_beside_it(tmp_path):
    """What another file includes may have the same name."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "base.gin").write_text("NAE.seed = 7\n")
    (tmp_path / "mine" / "own.gin").write_text("include 'base.gin'\n")
    configuration.parse_config(["cifar10.gin", "mine/own.gin"])
    assert gin.query_parameter("NAE.seed") == 7
    # Of the presets' base.gin.
    assert gin.query_parameter("Experiment.model") is not None


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("digit.gin", "digits.gin"),
        ("gin/mnist_hold_out.gin", "mnist_holdout.gin"),
        ("smoke.gin", "budgets/smoke.gin"),
        ("methods/dae", "methods/dae.gin"),
    ],
)
def test_an_unknown_file_is_answered_with_near_presets(
    wrong, nearest, tmp_path
):
    with pytest.raises(FileNotFoundError) as error:
        configuration.parse_config([wrong])
    message = str(error.value)
    assert message.startswith(f"there is no gin file '{wrong}'")
    assert repr(nearest) in message and "\n" not in message
    (tmp_path / "own.gin").write_text(f"\ninclude '{wrong}'\n")
    with pytest.raises(FileNotFoundError) as error:
        configuration.parse_config(["own.gin"])
    message = str(error.value)
    assert f"own.gin' includes '{wrong}', but there is no gin file" in message
    assert repr(nearest) in message and "\n" not in message
