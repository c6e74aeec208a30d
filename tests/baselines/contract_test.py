"""What every method in gin/methods keeps to, tested through its gin file."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from methods import (
    GIN,
    KINDS_FIRST,
    METHODS,
    TINY,
    WITHOUT_NETWORKS,
    experiment,
)
from tiny_models import spy_on_modes

from nae_tf.baselines import (
    DAE,
    DAGMM,
    IGEBM,
    VQVAE,
    GANomaly,
    Glow,
    MemAE,
    PixelCNN,
)
from nae_tf.evaluation.evaluate import evaluate
from nae_tf.evaluation.results import aurocs
from nae_tf.export import calibrate
from nae_tf.runs import configuration, run_directory
from nae_tf.runs.checkpoints import restore
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.train import train
from nae_tf.training.experiment import Experiment

# Methods whose loss need not fall, each with the reason.
GAMES: dict[str, str] = {}
# Methods that do not descend their loss exactly, each with the reason.
CUT_GRADIENTS = {
    "vqvae": "gradients pass straight through the codes",
    "wae": "the width of the kernel is held fixed",
}
# Methods with a training step of their own, which their files test.
OWN_STEP = {"igebm"}
WITH_OBJECTIVE = sorted({*METHODS} - OWN_STEP)
# Methods whose values have a range, which standardised features leave.
WITH_RANGE = {"glow", "igebm", "pixelcnn"}
# Methods whose training steps draw noise.
NOISY = {
    *("dae", "dagmm", "glow", "pixelcnn", "rae_gp", "vae", "vae_likelihood"),
    "wae",
}
# Methods and what their papers set.
PAPERS = [
    (DAE, {"noise_std": 0.3}),
    (
        DAGMM,
        {
            "num_components": 4,
            "hidden_units": 10,
            "dropout": 0.5,
            "energy_weight": 0.1,
            "covariance_weight": 0.005,
        },
    ),
    (
        GANomaly,
        {
            "adversarial_weight": 1,
            "contextual_weight": 50,
            "latent_weight": 1,
        },
    ),
    (
        MemAE,
        {
            "memory_size": 100,
            "shrinkage_threshold": 1 / 100,
            "entropy_weight": 0.0002,
        },
    ),
    # Of the NAE paper, appendix D.4.
    (Glow, {"num_steps": 12, "num_scales": 1, "hidden_channels": 64}),
    (IGEBM, {"energy_penalty": 1.0}),
    (
        PixelCNN,
        {
            # Of the NAE paper, appendix D.4.
            "num_blocks": 5,
            "num_channels": 80,
            "num_components": 10,
            "num_scales": 3,
            "dropout": 0.5,
        },
    ),
    (VQVAE, {"commitment_weight": 0.25}),
]


def images(count):
    values = np.random.default_rng(count).random((count, 8, 8, 1))
    return values.astype(np.float32)


def fitted(method, optimizer=None):
    """A model after a short training, and the history of it."""
    model = experiment(method).build_model()
    model.compile(optimizer or keras.optimizers.Adam(3e-3))
    x = images(12)
    batches = tf.data.Dataset.from_tensor_slices(x).batch(8)
    history = model.fit(batches, verbose=0, shuffle=False).history
    return model, history


@functools.cache
def any_fitted(method):
    """A model after a short training, for tests to which no weight matters."""
    return fitted(method)[0]


@pytest.mark.parametrize("method", METHODS)
def test_the_file_names_its_method_and_how_to_run_it(method):
    text = (GIN / "methods" / f"{method}.gin").read_text()
    assert f"--gin_file=gin/methods/{method}.gin" in text.partition("\n\n")[0]


@pytest.mark.parametrize(("method", "settings"), PAPERS)
def test_defaults_are_those_of_the_papers(method, settings):
    parameters = inspect.signature(method).parameters
    assert {name: parameters[name].default for name in settings} == settings


@pytest.mark.parametrize("method", METHODS)
def test_the_config_holds_every_argument(method):
    model = experiment(method, bindings=[*TINY, "seed = 5"]).build_model()
    config = model.get_config()
    assert set(config) == {
        *inspect.signature(type(model)).parameters,
        "trainable",
    }
    assert config.get("seed", 5) == 5


@pytest.mark.parametrize("method", METHODS)
def test_an_image_scores_alone_as_in_a_batch_and_always_the_same(method):
    model = any_fitted(method)
    x = images(9)
    scores = model.predict_outlier_score(x)
    assert scores.shape == (9,) and np.isfinite(scores).all()
    assert np.ptp(scores) > 0
    alone = np.concatenate(
        [model.predict_outlier_score(image[None]) for image in x]
    )
    np.testing.assert_allclose(alone, scores, rtol=1e-4, atol=1e-6)
    backwards = model.predict_outlier_score(x[::-1], batch_size=4)
    np.testing.assert_allclose(backwards[::-1], scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", sorted({*METHODS} - WITH_RANGE))
def test_raw_features_score_as_standardised_ones(method):
    raw = 300 + 50 * images(12).astype(np.float64)
    model = experiment(method).build_model().standardize(raw)
    scores = model.predict_outlier_score(raw)
    model.standardization = None
    model.forget_graphs()
    x = ((raw - raw.mean()) / raw.std()).astype(np.float32)
    np.testing.assert_allclose(
        scores, model.predict_outlier_score(x), rtol=1e-3
    )


@pytest.mark.parametrize("method", WITH_OBJECTIVE)
def test_the_loss_falls_on_a_fixed_batch(method):
    if method in GAMES:
        pytest.skip(GAMES[method])
    model = experiment(method).build_model()
    model.compile(keras.optimizers.Adam(3e-3))
    x = images(16)
    before = model.evaluate(x, verbose=0, return_dict=True)["loss"]
    sixty_times = np.tile(x, [60, 1, 1, 1])
    model.fit(sixty_times, batch_size=16, shuffle=False, verbose=0)
    after = model.evaluate(x, verbose=0, return_dict=True)["loss"]
    assert after < before - 0.05 * abs(before)


@pytest.mark.parametrize("method", WITH_OBJECTIVE)
def test_the_gradient_is_the_slope_of_the_loss(method):
    if method in CUT_GRADIENTS:
        pytest.skip(CUT_GRADIENTS[method])
    keras.utils.set_random_seed(0)
    settings = [
        "Experiment.precision = 'float64'",
        # Large enough to be seen.
        "RAE.gradient_penalty = 1.0",
    ]
    model = experiment(method, bindings=[*TINY, *settings]).build_model()
    model.compile(keras.optimizers.SGD())
    x = tf.constant(images(8), tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        values = model.objective(x, training=True)
    rng = np.random.default_rng(0)
    for name, variables in model.players().items():
        gradients = tape.gradient(values[name], variables)
        for variable, gradient in zip(variables, gradients, strict=True):
            start = variable.numpy()
            direction = rng.normal(size=start.shape)
            ends = []
            for step in (-1e-6, 1e-6):
                variable.assign(start + step * direction)
                ends.append(float(model.objective(x, training=True)[name]))
            variable.assign(start)
            slope = (ends[1] - ends[0]) / 2e-6
            assert np.sum(direction * gradient) == pytest.approx(
                slope, rel=1e-3, abs=1e-6
            ), variable.path


@pytest.mark.parametrize("method", WITH_OBJECTIVE)
def test_every_training_step_has_noise_of_its_own(method):
    model = experiment(method).build_model()
    model.compile("sgd")
    x = tf.constant(images(8))

    def figures(training, step):
        model.optimizer.iterations.assign(step)
        values = model.objective(x, training)
        return [float(np.mean(value)) for value in values.values()]

    assert (figures(True, 0) != figures(True, 1)) == (method in NOISY)
    assert figures(False, 0) == figures(False, 1)


@pytest.mark.parametrize("method", sorted({*WITH_OBJECTIVE} - WITHOUT_NETWORKS))
def test_only_a_training_step_runs_networks_in_training_mode(method):
    model = experiment(method).build_model()
    # Step by step, which takes less time than a graph.
    model.compile("sgd", run_eagerly=True)
    modes = spy_on_modes(model)
    x = images(8)
    model.fit(x, verbose=0)
    assert modes.keys() >= {model.encoder, model.decoder}
    for seen in modes.values():
        assert seen and all(seen)
        seen.clear()
    model.evaluate(x, verbose=0)
    model.predict_outlier_score(x)
    assert len(modes[model.encoder]) == 2
    assert not any(np.concatenate(list(modes.values())))


@pytest.mark.parametrize("method", WITH_OBJECTIVE)
def test_fit_logs_the_mean_over_examples_of_the_objective(method):
    # At a learning rate of 0 the weights stay, so the values can be computed
    # again, batch by batch: 8 and 4 examples.
    model, history = fitted(method, keras.optimizers.SGD(0.0))
    x = images(12)
    sums = dict.fromkeys(history, 0.0)
    for step, batch in enumerate([x[:8], x[8:]]):
        model.optimizer.iterations.assign(step)
        values = model.objective(tf.constant(batch), training=True)
        assert values.keys() == history.keys()
        for name, value in values.items():
            sums[name] += len(batch) * float(np.mean(value))
    for name, total in sums.items():
        assert history[name] == [pytest.approx(total / 12, rel=1e-4)], name


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_model_scores_and_trains_on_as_if_never_saved(method, tmp_path):
    model = any_fitted(method)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    x = images(6)
    np.testing.assert_allclose(
        loaded.predict_outlier_score(x),
        model.predict_outlier_score(x),
        rtol=1e-5,
    )
    losses = [
        each.fit(x, epochs=3, verbose=0, shuffle=False).history["loss"]
        for each in (model, loaded)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_the_export_scores_as_the_model(method, tmp_path):
    model = any_fitted(method)
    calibration = Calibration(np.linspace(0, 1, 19), 0.1)
    exported = ExportedModel(export_model(model, calibration, tmp_path))
    for count in (1, 7):
        x = images(count)
        np.testing.assert_allclose(
            exported.score(x)["energy"],
            model.predict_outlier_score(x),
            rtol=1e-4,
            atol=1e-6,
        )


@pytest.mark.parametrize("method", KINDS_FIRST)
def test_train_evaluate_and_export_run_from_the_run_directory(method, tmp_path):
    run = run_directory.RunDirectory(tmp_path / "run")
    results = train(run, experiment(method))
    (scores,) = aurocs(results).values()
    assert scores.keys() == {"digit 9"} and 0 <= scores["digit 9"] <= 1
    logged = run.metrics.read_text()
    assert "selection_auroc" in logged and ",val_" in logged
    run.load_config()
    again = Experiment.from_config()
    assert evaluate(run, again) == results
    model = again.build_model()
    restore(model, run.checkpoints("training"))
    calibration = calibrate(again, model, 0.1)
    exported = ExportedModel(export_model(model, calibration, tmp_path / "out"))
    outputs = exported.score(images(3))
    np.testing.assert_array_equal(
        outputs["is_outlier"], outputs["energy"] > calibration.threshold
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", ["digits", "eight_gaussians"])
def test_a_method_has_the_steps_of_both_phases_of_nae(preset, method):
    configuration.parse_config([str(GIN / f"{preset}.gin")])
    both = Experiment.from_config()
    phases = [phase for phase in (both.pretraining, both.training) if phase]
    steps = [phase.steps(both.task.train) * phase.epochs for phase in phases]
    alone = experiment(method, preset, [])
    assert alone.pretraining is None
    assert alone.training.batch_size == both.training.batch_size
    assert alone.training.steps(
        alone.task.train
    ) * alone.training.epochs == sum(steps)
