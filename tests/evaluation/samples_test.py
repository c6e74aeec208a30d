"""The command that draws samples, as a user runs it."""

import json
import shutil

import numpy as np
import pytest
from tiny_models import short_sampler, vector_nae
from tiny_runs import DIGITS, TINY_DIGITS, run_module

from nae_tf import LangevinChain, OnManifold, PersistentContrastiveDivergence
from nae_tf.baselines import Glow
from nae_tf.data import digits
from nae_tf.evaluation import features, samples
from nae_tf.runs import configuration, run_directory
from nae_tf.runs.checkpoints import restore
from nae_tf.train import train
from nae_tf.training.experiment import Experiment

CHAIN = LangevinChain(2, 0.1, 0.05, bounds=(-1.0, 1.0))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An untrained run of the digits."""
    untrained = ["pretraining/Phase.epochs=0", "training/Phase.epochs=0"]
    configuration.parse_config([DIGITS], [*TINY_DIGITS, *untrained])
    directory = run_directory.RunDirectory(
        tmp_path_factory.mktemp("runs") / "run"
    )
    train(directory, Experiment.from_config())
    return directory


@pytest.fixture(scope="module")
def sampled(run):
    finished = run_module(
        "sample",
        f"--run_dir={run.path}",
        "--num_samples=20",
        "--seed=3",
        "--features=values",
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, dict(np.load(run.samples / "samples.npz"))


def load_model(run):
    run.load_config()
    model = Experiment.from_config().build_model()
    restore(model, run.checkpoints("training"))
    return model


def test_the_file_holds_all_stages(sampled):
    _, stages = sampled
    assert {name: stage.shape for name, stage in stages.items()} == {
        "z0": (20, 16),
        "z": (20, 16),
        "decoded_z0": (20, 8, 8, 1),
        "x0": (20, 8, 8, 1),
        "x": (20, 8, 8, 1),
    }


def test_the_pictures_belong_to_the_latents(run, sampled):
    _, stages = sampled
    model = load_model(run)
    for latent, image in [("z0", "decoded_z0"), ("z", "x0")]:
        decoded = model.decode(stages[latent]).numpy()
        np.testing.assert_allclose(decoded, stages[image], atol=1e-5)
    assert not np.allclose(stages["z0"], stages["z"])
    assert not np.allclose(stages["x0"], stages["x"])


def test_the_printed_energies_are_reconstruction_errors(run, sampled):
    output, stages = sampled
    model = load_model(run)
    printed = [
        float(line.split()[2])
        for line in output.splitlines()
        if line.startswith("mean energy")
    ]
    errors = [
        np.mean((stages[name] - model(stages[name]).numpy()) ** 2)
        for name in ("decoded_z0", "x0", "x")
    ]
    assert printed == pytest.approx(errors, abs=1e-6)


def test_the_picture_has_three_panels(run, sampled):
    data = (run.samples / "samples.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = np.frombuffer(data[16:24], ">u4")
    assert 2 < width / height < 3


def test_the_quality_is_printed_and_stored(run, sampled):
    output, _ = sampled
    quality = json.loads((run.samples / "quality.json").read_text())
    assert quality["samples"]["size"] == 20
    assert quality["validation"]["size"] == 162
    for row in (quality["samples"], quality["validation"]):
        assert f"{row['frechet_distance']:.4f}" in output
    # An untrained model is far from the data, the data are near themselves.
    assert (
        quality["samples"]["kernel_distance"]
        > 10 * quality["validation"]["kernel_distance"]
    )


def test_batches_are_independent_and_repeatable(monkeypatch):
    monkeypatch.setattr(samples, "_BATCH_SIZE", 4)
    model = vector_nae()

    def draw(seed):
        batches = list(samples.draw_samples(model, 10, seed))
        assert [len(batch["x"]) for batch in batches] == [4, 4, 2]
        return np.concatenate([batch["z0"] for batch in batches])

    first = draw(0)
    assert len(np.unique(first, axis=0)) == 10
    np.testing.assert_array_equal(first, draw(0))
    assert not np.isin(draw(1), first).any()


def test_the_latent_chain_is_as_long_as_asked():
    # Without noise and at a tiny step, a chain's way is its length.
    chain = LangevinChain(1, 1e-5, 0.0)

    def way(factor):
        sampler = OnManifold(latent_chain=chain, visible_chain=chain)
        model = vector_nae(sampler=sampler)
        samples.lengthen_latent_chain(model, factor)
        (stages,) = samples.draw_samples(model, 8)
        return np.linalg.norm(stages["z"] - stages["z0"], axis=1).mean()

    assert way(8) / way(1) == pytest.approx(8, rel=0.1)


def test_every_stage_is_in_the_box_of_the_visible_chain():
    model = vector_nae(sampler=short_sampler((0.0, 0.01)))
    (stages,) = samples.draw_samples(model, 8)
    for name in ("decoded_z0", "x0", "x"):
        assert stages[name].min() >= 0 and stages[name].max() <= 0.01
    # What a linear decoder makes of random latents is not.
    assert np.ptp(model.decode(stages["z0"])) > 0.01


def test_samplers_without_a_latent_chain():
    model = vector_nae(
        sampler=PersistentContrastiveDivergence(visible_chain=CHAIN)
    )
    (stages,) = samples.draw_samples(model, 5)
    assert set(stages) == {"x0", "x"}


def test_a_model_without_chains_has_final_samples_only():
    model = Glow(num_steps=1, hidden_channels=4, num_levels=3)
    model.build((None, 4, 4, 1))
    (stages,) = samples.draw_samples(model, 5)
    assert stages.keys() == {"x"} and stages["x"].shape == (5, 4, 4, 1)


def test_samples_that_are_test_images_are_at_no_distance():
    task = digits.digits_holdout()
    x = np.concatenate(list(task.test.batches(50).as_numpy_iterator()))
    quality = samples.measure_quality(x, task, features.values)
    assert quality["samples"]["frechet_distance"] == pytest.approx(0, abs=1e-6)
    assert quality["samples"]["kernel_distance"] < 0
    assert quality["validation"]["frechet_distance"] > 0.1
    limited = samples.measure_quality(x, task, features.values, limit=30)
    assert limited["validation"]["size"] == 30


def test_the_table_of_distances_has_errors_where_there_are_some():
    quality = {
        title: {
            "size": size,
            "frechet_distance": frechet,
            "kernel_distance": kernel,
            "kernel_distance_standard_error": error,
        }
        for title, size, frechet, kernel, error in [
            ("samples", 2000, 1.25, 0.5, 0.0625),
            ("validation", 20, 0.75, -0.25, None),
        ]
    }
    _, drawn, validation = samples.format_quality(quality).splitlines()
    assert drawn.split() == [
        *("samples", "(2000)", "1.2500", "0.50000", "+-", "0.06250")
    ]
    assert validation.split() == [*("validation", "(20)", "0.7500", "-0.25000")]


def test_vectors_of_many_features_have_no_picture(tmp_path):
    stages = {name: np.zeros((3, 5)) for name in ("x0", "x")}
    told = samples.write_picture(run_directory.RunDirectory(tmp_path), stages)
    assert told.startswith("no picture: ") and "vectors of 5 values" in told


def test_features_are_those_that_are_named(monkeypatch):
    monkeypatch.setattr(samples, "_CLASSIFIER_STEPS", 1)
    task = digits.digits_holdout()
    x = next(task.test.batches(4).as_numpy_iterator())
    name, classifier = samples.choose_features("classifier", task)
    assert "classifier of rotations" in name
    assert classifier(x).shape == (4, 128)
    _, values = samples.choose_features("values", task)
    np.testing.assert_array_equal(values(x), x.reshape(4, 64))


def test_what_cannot_be_measured_does_not_cost_earlier_samples(
    run, tmp_path, monkeypatch
):
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    samples = copy / "samples"
    shutil.rmtree(samples, ignore_errors=True)
    samples.mkdir()
    for name in ("samples.npz", "quality.json"):
        (samples / name).write_text("earlier")
    for arguments in (
        ["--features=/nope", "--num_samples=2"],
        ["--features=values", "--num_samples=1"],
    ):
        failed = run_module("sample", f"--run_dir={copy}", *arguments)
        assert failed.returncode == 1
        assert failed.stderr.splitlines()[-1].startswith("error: ")
        assert (samples / "samples.npz").read_text() == "earlier"
    # Samples that are not measured have no quality.
    sampled = run_module("sample", f"--run_dir={copy}", "--num_samples=2")
    assert sampled.returncode == 0, sampled.stderr
    assert not (samples / "quality.json").exists()


def test_a_run_that_is_none_ends_in_one_line(tmp_path):
    failed = run_module("sample", f"--run_dir={tmp_path}")
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "config.gin" in last
    assert "Traceback" not in failed.stderr
