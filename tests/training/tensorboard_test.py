"""What TensorBoard's event files hold, read back."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import metadata
from tiny_runs import DIGITS, TINY_DIGITS

from nae_tf.data.selection import sample
from nae_tf.runs import configuration, run_directory
from nae_tf.runs.checkpoints import restore
from nae_tf.train import train
from nae_tf.training import hparams_tab
from nae_tf.training.experiment import Experiment

SETTINGS = [
    *TINY_DIGITS,
    "pretraining/Phase.epochs=1",
    "training/Phase.epochs=3",
    "training/Phase.keep='last'",
    "Experiment.picture_interval=5",
]
LAST_EPOCH, LAST_STEP = 2, 9


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished tiny run: its directory, model, task and training events."""
    configuration.parse_config([DIGITS], SETTINGS)
    directory = run_directory.RunDirectory(
        tmp_path_factory.mktemp("runs") / "run"
    )
    train(directory, Experiment.from_config())
    directory.load_config()
    experiment = Experiment.from_config()
    model = experiment.build_model()
    restore(model, directory.checkpoints("training"))
    events = event_accumulator.EventAccumulator(
        str(directory.tensorboard / "training"), size_guidance={"tensors": 0}
    ).Reload()
    return directory, model, experiment.task, events


def logged(events, tag):
    """Values by step."""
    return {
        event.step: tf.make_ndarray(event.tensor_proto)
        for event in events.Tensors(tag)
    }


def picture(events, tag):
    """The last picture of a tag, uint8 [height, width]."""
    width, height, png = logged(events, tag)[LAST_STEP]
    pixels = tf.io.decode_png(png).numpy()
    assert pixels.shape == (int(height), int(width), 1)
    return pixels[..., 0]


def first_validation_images(task):
    return next(task.validation.batches(36).as_numpy_iterator())


def test_pictures_come_at_every_interval_and_at_the_end(run):
    *_, events = run
    for tag in ("samples/visible", "energy_histogram/validation"):
        assert list(logged(events, tag)) == [6, 9]


@pytest.mark.parametrize(
    ("tag", "stage"), [("samples/on_manifold", "x0"), ("samples/visible", "x")]
)
def test_samples_are_those_of_the_model(run, tag, stage):
    _, model, task, events = run
    negative = model.negative_samples(first_validation_images(task), LAST_EPOCH)
    images = getattr(negative, stage).numpy()
    shown = picture(events, tag)
    # Six rows of 8 pixels and 5 gaps, enlarged.
    factor = len(shown) // 53
    assert factor > 1 and shown.shape == (53 * factor, 53 * factor)
    shown = shown[::factor, ::factor]
    for index, (row, column) in [(0, (0, 0)), (35, (45, 45)), (7, (9, 9))]:
        np.testing.assert_allclose(
            shown[row : row + 8, column : column + 8] / 255.0,
            images[index, ..., 0],
            atol=0.51 / 255,
        )


def test_reconstructions_stand_under_their_images(run):
    _, model, task, events = run
    images = first_validation_images(task)
    shown = picture(events, "reconstructions")
    factor = shown.shape[1] // 53
    shown = shown[::factor, ::factor] / 255.0
    for row, batch in [(0, images), (9, model(images).numpy())]:
        np.testing.assert_allclose(
            shown[row : row + 8, 9:17], batch[1, ..., 0], atol=0.51 / 255
        )


def test_histograms_count_the_energies(run):
    _, model, task, events = run
    for name, examples in [
        ("validation", task.validation),
        ("chimera", task.selection["chimera"]),
    ]:
        some = sample(examples, 512)
        scores = model.predict_outlier_score(some.batches(512))
        buckets = logged(events, f"energy_histogram/{name}")[LAST_STEP]
        assert buckets[:, 2].sum() == len(scores)
        assert buckets[0, 0] == pytest.approx(scores.min(), rel=1e-4)
        assert buckets[-1, 1] == pytest.approx(scores.max(), rel=1e-4)
        below = buckets[buckets[:, 1] <= np.median(scores), 2].sum()
        assert below == pytest.approx(len(scores) / 2, rel=0.35)


def test_the_replay_buffer_ages(run):
    *_, events = run
    # 3, 6 and 9 batches in the buffer: ages 0, ..., 2; 0, ..., 5; 0, ..., 8.
    assert logged(events, "replay_buffer/age") == {3: 1.0, 6: 2.5, 9: 4.0}
    for value in logged(events, "replay_buffer/diversity").values():
        assert 0 < value < 2  # States of the unit sphere.


def test_the_configuration_is_shown_as_it_is(run):
    directory, *_, events = run
    text = logged(events, "config")[0].item().decode()
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    assert lines == directory.config.read_text().splitlines()


def test_the_hyperparameters_are_those_of_the_run(run):
    *_, events = run
    content = events.SummaryMetadata(
        metadata.SESSION_START_INFO_TAG
    ).plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(content)
    # Given on the command line, macros of the preset, and the model.
    assert info.hparams["visible/LangevinChain.num_steps"].number_value == 2
    assert info.hparams["training/Phase.keep"].string_value == "last"
    assert info.hparams["holdout_class"].number_value == 4
    assert info.hparams["latent_dim"].number_value == 16
    assert info.hparams["Experiment.model"].string_value == "@NAE"
    # The same in all runs of the preset.
    assert "NAE.sampler" not in info.hparams
    assert "training/Adam.learning_rate" not in info.hparams


def test_the_tab_has_the_auroc_of_every_set(run):
    directory, *_, events = run
    content = events.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data
    tab = metadata.parse_experiment_plugin_data(content.content)
    names = {
        (metric.name.group, metric.name.tag) for metric in tab.metric_infos
    }
    assert ("", "selection_auroc") in names
    values = json.loads(directory.results.read_text())["methods"]
    assert list(values) == ["AE", "NAE"]
    for method, found in values.items():
        tag = f"auroc/{method}/digit 4"
        assert ("evaluation", tag) in names
        # The plugin joins the folder of the session and the group.
        folder = directory.tensorboard / "training" / "evaluation"
        scores = event_accumulator.EventAccumulator(
            str(folder), size_guidance={"tensors": 0}
        ).Reload()
        assert len(list(folder.iterdir())) == 1
        expected = found["outliers"]["digit 4"]["metrics"]["auroc"]["value"]
        assert logged(scores, tag)[0] == pytest.approx(expected)


def test_hyperparameters_are_bindings_of_one_value():
    config = (
        "# Parameters for Phase:\n"
        "latent_dim = 16\n"
        "visible/LangevinChain.step_size = 0.5\n"
        "Phase.flip = False\n"
        "Phase.patience = None\n"
        "NAE.sampler = @OnManifold()\n"
        "MLP.units = (256, 256)\n"
        "out.outliers = \\\n"
        "    ['a', 'b']\n"
        "Phase.keep = 'last'\n"
    )
    assert hparams_tab.hyperparameters(config) == {
        "latent_dim": 16,
        "visible/LangevinChain.step_size": 0.5,
        "Phase.flip": False,
        "Phase.patience": "None",
        "NAE.sampler": "@OnManifold()",
        "Phase.keep": "last",
    }
