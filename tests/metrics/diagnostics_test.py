"""Figures of a training against SciPy and closed forms, and their limits."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.spatial import distance

from nae_tf.metrics import (
    TrainingDiagnostics,
    distance_in_spacings,
    diversity,
    energy_gap_in_spreads,
    fall_at_the_end,
)

GOOD = TrainingDiagnostics(
    auroc=0.95,
    autoencoder_auroc=0.9,
    pretraining_errors=tuple(1 + 0.5**epoch for epoch in range(10)),
    pretraining_unexplained=0.1,
    unexplained=0.15,
    overfitting=2.0,
    sample_gap=-0.5,
    sample_distance=1.1,
    sample_diversity=1.0,
    latent_dim=8,
    num_values=30,
)


def random_sets(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(1, 2, [40, 3]), rng.normal(0, 1, [50, 3])


def spacing(x):
    """Distance of every row to the nearest other one."""
    between = distance.squareform(distance.pdist(x))
    return np.where(np.eye(len(x)), np.inf, between).min(axis=1)


def test_the_gap_is_a_number_of_standard_deviations():
    data, samples = np.random.default_rng(0).normal(size=(2, 100))
    expected = (samples.mean() - data.mean()) / data.std()
    assert energy_gap_in_spreads(data, samples) == pytest.approx(expected)
    # Units of the energy drop out.
    scaled = energy_gap_in_spreads(1e-3 * data + 7, 1e-3 * samples + 7)
    assert scaled == pytest.approx(expected)
    assert energy_gap_in_spreads([1, 1], [1, 1]) == 0
    assert energy_gap_in_spreads([1, 1], [0, 0]) == -math.inf


def test_distances_are_those_of_scipy():
    samples, data = random_sets()
    nearest = distance.cdist(samples, data).min(axis=1)
    expected = np.median(nearest) / np.median(spacing(data))
    assert distance_in_spacings(samples, data) == pytest.approx(expected)
    images = samples.reshape(40, 3, 1), data.reshape(50, 3, 1)
    assert distance_in_spacings(*images) == pytest.approx(expected)
    assert distance_in_spacings(data[:5], data) == 0
    assert distance_in_spacings(samples, np.ones([4, 3])) == math.inf


def test_diversity_compares_equally_many():
    samples, data = random_sets()
    expected = spacing(samples).mean() / spacing(data[:40]).mean()
    assert diversity(samples, data) == pytest.approx(expected)
    assert diversity(np.ones([9, 3]), data) == 0
    # More of the same distribution lie closer, but are no less diverse.
    rng = np.random.default_rng(1)
    many, few = rng.uniform(size=(2000, 2)), rng.uniform(size=(200, 2))
    assert diversity(many, few) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.0, 1.1])
def test_the_fall_of_a_geometric_sequence_is_known(rate):
    # Two epochs after two: each is rate**2 of the one two before.
    errors = [rate**epoch for epoch in range(10)]
    assert fall_at_the_end(errors) == pytest.approx(1 - rate**2)
    assert fall_at_the_end(errors[:1]) == 0
    assert fall_at_the_end([]) == 0


def test_a_good_training_has_no_failure():
    assert GOOD.failures() == []
    # Nothing is known, so nothing is wrong.
    assert TrainingDiagnostics().failures() == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"auroc": math.nan}, "NaN"),
        ({"unexplained": math.inf}, "NaN or infinite"),
        ({"sample_gap": math.nan}, "a tenth of the learning rate"),
        ({"auroc": 0.86}, "0.860, before 0.900"),
        ({"auroc": 0.86, "auroc_error": 0.019}, "0.860, before 0.900"),
        ({"latent_dim": 30}, "half as many latents"),
        ({"latent_dim": 4, "num_values": 4}, "can copy"),
        (
            {"pretraining_errors": [0.8**epoch for epoch in range(10)]},
            "fell by 36%",
        ),
        ({"pretraining_unexplained": 0.8}, "leaves 80%"),
        ({"unexplained": 0.9}, "no longer reconstructs"),
        ({"sample_gap": 3.0}, "+3.0 standard deviations"),
        ({"sample_gap": -3.0}, "-3.0 standard deviations"),
        ({"sample_distance": 2.0}, "2.0 times as far"),
        ({"sample_diversity": 0.1}, "0.10 times as diverse"),
    ],
)
def test_a_failure_is_named_with_a_remedy(changes, text):
    found = dataclasses.replace(GOOD, **changes).failures()
    assert len(found) == 1, found
    assert text in found[0]
    assert "; " in found[0] and "\n" not in found[0]


def test_examples_known_by_heart_explain_a_failure():
    failing = {"sample_distance": 2.0, "pretraining_unexplained": 0.5}
    known = dataclasses.replace(GOOD, overfitting=50.0, **failing)
    samples, cause = known.failures()
    assert "2.0 times as far" in samples
    assert "50 times theirs" in cause
    for changes in (
        {"overfitting": 10.0},
        # A tiny error may be many times a tinier one.
        {"pretraining_unexplained": 0.1},
    ):
        assert len(dataclasses.replace(known, **changes).failures()) == 1
    many = dataclasses.replace(known, overfitting=1e9)
    assert "over 1,000 times" in many.failures()[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"auroc": 0.88},
        {"auroc": 0.86, "auroc_error": 0.021},  # May be chance.
        {"latent_dim": 3, "num_values": 2},  # A density, on a sphere.
        {"pretraining_errors": [0.9**epoch for epoch in range(10)]},
        # Small tables are known by heart, and well detected all the same.
        {"overfitting": 50.0, "pretraining_unexplained": 0.5},
        {"sample_gap": 1.5},
        {"sample_distance": 0.0},
        {"sample_diversity": 3.0},
    ],
)
def test_what_happens_to_good_trainings_is_no_failure(changes):
    assert dataclasses.replace(GOOD, **changes).failures() == []
