"""Gin files and bindings are parsed strictly, and each time anew."""

import gin
import pytest

from nae_tf import NAE, LangevinChain
from nae_tf.runs import configuration
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


@pytest.mark.parametrize(
    ("binding", "text"),
    [
        ("training/Phase.patience", "None"),
        ("Phase.batch_size", "128"),
        ("Phase.keep", "'best'"),
        ("nae_tf.NAE.seed", "0"),
        ("Phase.optimizer", None),
        ("Phase.nothing", None),
        ("Nothing.seed", None),
    ],
)
def test_defaults_are_known_as_gin_writes_them(binding, text):
    assert configuration.default_text(binding) == text


@pytest.mark.parametrize(
    "binding",
    [
        "NAE.seed = @" + 4_000 * "é",
        "NAE.seed = = " + 4_000 * "1",
        "NAE.seed = (" + 2_000 * "1, ",
        "NAE.seed = @" + 4_000 * "a",
        "NAE." + 4_000 * "a" + " = 1",
        4_000 * "a" + " = 1",
        "NAE.seed = '''\ra",
        "NAE.seed = '''\na",
    ],
)
def test_an_odd_binding_is_named_in_one_line_of_some_length(binding):
    with pytest.raises(ValueError) as caught:
        configuration.parse_config([], [binding])
    assert len(str(caught.value)) < 2_000
    assert len(str(caught.value).splitlines()) == 1
