"""The verdict on small trainings, good ones and failing ones."""

import keras
import numpy as np
import pytest

from nae_tf import NAE
from nae_tf.metrics import auroc
from nae_tf.networks import MLPDecoder, MLPEncoder
from nae_tf.training import SelectionAuroc, Verdict

WIDTH = 8


def curve(count, seed=0):
    """Points near a closed curve in eight dimensions, standardised."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, count)
    waves = [f(k * angle) for k in (1, 2, 3, 4) for f in (np.sin, np.cos)]
    x = np.sqrt(2) * np.stack(waves, axis=1)
    return (x + rng.normal(0, 0.05, x.shape)).astype("float32")


def train(latent_dim=3, count=600, pretraining_steps=600, rate=1e-3, steps=120):
    """Train on the curve; return model and verdict."""
    keras.utils.set_random_seed(0)
    x, validation = curve(count), curve(128, seed=1)
    model = NAE(
        MLPEncoder(latent_dim, (WIDTH,), hidden_units=(64, 64)),
        MLPDecoder(
            latent_dim, (WIDTH,), hidden_units=(64, 64), output_activation=None
        ),
    )
    verdict = Verdict(validation)
    quiet = {"verbose": 0, "callbacks": [verdict]}
    model.pretrain(x, steps=pretraining_steps, **quiet)
    model.compile(keras.optimizers.Adam(rate))
    history = model.fit(x, steps=steps, **quiet)
    return model, verdict, history.history


@pytest.fixture(scope="module")
def good():
    return train()


def test_a_good_training_is_not_named(good):
    _, verdict, _ = good
    assert verdict.failures == []
    found = verdict.diagnostics
    assert (found.latent_dim, found.num_values) == (3, WIDTH)
    assert len(found.pretraining_errors) == 10


def test_the_figures_are_those_of_the_trained_model(good):
    model, verdict, history = good
    inliers = curve(128, seed=1)
    scores = model.predict_outlier_score(inliers)
    outliers = SelectionAuroc(inliers)._outliers.values()
    expected = np.mean(
        [auroc(scores, model.predict_outlier_score(x())) for x in outliers]
    )
    assert verdict.diagnostics.auroc == pytest.approx(expected, abs=1e-6)
    left = np.square(inliers - model(inliers)).mean() / inliers.var(0).mean()
    assert verdict.diagnostics.unexplained == pytest.approx(left, rel=1e-4)
    samples = model.negative_samples(inliers, 9).x.numpy()
    gap = model.predict_outlier_score(samples).mean() - scores.mean()
    expected = gap / scores.std()
    assert verdict.diagnostics.sample_gap == pytest.approx(expected, rel=1e-3)
    # The logs of every epoch have them, the last one those of the end.
    assert history["sample_gap"][-1] == verdict.diagnostics.sample_gap
    assert len(history["sample_distance"]) == 10


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"latent_dim": WIDTH}, "as many latents as values"),
        ({"pretraining_steps": 10}, "pre-training has learned little"),
        ({"rate": 1.0}, "NAE no longer reconstructs"),
        ({"count": 6}, "by heart"),
    ],
)
def test_a_failing_training_is_named_in_its_last_lines(settings, text, capsys):
    steps = {"steps": 20, "pretraining_steps": 200} | settings
    _, verdict, _ = train(**steps)
    lines = capsys.readouterr().err.splitlines()
    named = [line for line in lines if line.startswith("verdict: failed: ")]
    assert any(text in line for line in verdict.failures)
    assert lines[-len(verdict.failures) :] == named[-len(verdict.failures) :]
    assert any(text in line for line in named)


def test_settings_out_of_range_are_refused_in_one_line():
    with pytest.raises(ValueError, match="an integer limit >= 2"):
        Verdict(curve(8), limit=1)
    with pytest.raises(ValueError, match="at least two inliers"):
        Verdict(curve(1))
    with pytest.raises(ValueError, match="Verdict: expected inliers of shape"):
        Verdict(np.zeros(3))
