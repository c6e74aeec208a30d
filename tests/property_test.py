"""Public functions on random shapes, types and values.

Whatever comes in, the answer keeps its promises or the error is a documented
one, in one line.
"""

import collections
import math

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score
from tiny_models import short_sampler, vector_networks

from nae_tf import NAE, Euclidean, LangevinChain, Sphere
from nae_tf.data import task
from nae_tf.data.examples import add_dequantization_noise
from nae_tf.data.sources import ArrayExamples
from nae_tf.energy import DISTANCES, reconstruction_error
from nae_tf.langevin import (
    clip_by_element,
    clip_by_example_norm,
    clip_by_row_norm,
    langevin_drift,
    langevin_step,
)
from nae_tf.metrics.detection import auroc
from nae_tf.replay_buffer import ReplayBuffer, deal_out
from nae_tf.runs import configuration
from nae_tf.serving.calibration import Calibration, benjamini_hochberg

# The same examples every time, and as long as they take.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("repeatable")

SEEDS = st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 2)
FLOATS = st.sampled_from([np.float32, np.float64])
TAME = {"min_value": -8, "max_value": 8, "allow_nan": False}


def arrays(shape, dtype=None, **elements):
    """Float arrays; any value at all unless `elements` says otherwise."""
    return st.one_of(st.just(dtype) if dtype else FLOATS).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            shape,
            elements=hnp.from_dtype(np.dtype(dtype), **elements)
            if elements
            else None,
        )
    )


def is_one_line(error):
    return "\n" not in str(error.value if hasattr(error, "value") else error)


# --- Energies and chains ------------------------------------------------------


@hypothesis.given(
    st.data(),
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
    st.sampled_from(sorted(DISTANCES)),
    st.sampled_from(["mean", "sum"]),
)
def test_energies_of_anything(draw, shape, distance, reduction):
    x = draw.draw(arrays(shape))
    reconstruction = draw.draw(arrays(shape, x.dtype))
    try:
        energy = reconstruction_error(
            tf.constant(x), tf.constant(reconstruction), distance, reduction
        )
    except ValueError as error:
        assert distance == "ssim" and is_one_line(error)
        return
    assert energy.shape == shape[:1] and energy.dtype == x.dtype
    if distance != "ssim":
        assert np.all((energy.numpy() >= 0) | np.isnan(energy))
        finite = np.isfinite(x).all() and np.isfinite(reconstruction).all()
        assert not finite or not np.isnan(energy).any()


@hypothesis.given(
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=4).flatmap(
        lambda shape: arrays(shape, **TAME)
    ),
    st.floats(0.015625, 8, width=32),
)
def test_clipped_gradients_stay_within_their_limit(gradient, limit):
    gradient = tf.constant(gradient)
    axes = tuple(range(1, gradient.shape.rank))
    tolerance = 1 + 1e-5
    by_element = clip_by_element(gradient, limit).numpy()
    assert np.all(np.abs(by_element) <= limit * tolerance)
    by_example = clip_by_example_norm(gradient, limit).numpy()
    norms = np.sqrt(np.sum(by_example.astype(float) ** 2, axis=axes))
    assert np.all(norms <= limit * tolerance)
    for clip in (clip_by_element, clip_by_example_norm, clip_by_row_norm):
        clipped = clip(gradient, limit)
        assert clipped.shape == gradient.shape
        assert clipped.dtype == gradient.dtype
        assert np.all(clipped.numpy() * gradient.numpy() >= 0)


@hypothesis.given(
    st.data(),
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=4),
    FLOATS,
    st.floats(0.015625, 8, width=32),
)
def test_a_step_is_its_formula(draw, shape, dtype, step_size):
    x, gradient, noise = (draw.draw(arrays(shape, dtype)) for _ in range(3))
    with np.errstate(all="ignore"):
        expected = x - step_size / 2 * gradient + dtype(0.5) * noise
    drift = langevin_drift(tf.constant(gradient), step_size, 2.0)
    moved = langevin_step(tf.constant(x), drift, tf.constant(noise), 0.5)
    assert moved.dtype == dtype
    finite = np.isfinite(expected) & np.isfinite(moved.numpy())
    np.testing.assert_allclose(
        moved.numpy()[finite], expected[finite], rtol=1e-3, atol=1e-3
    )


ANY_FLOAT = st.floats(width=32) | st.floats(0, 1, width=32)


@hypothesis.given(
    st.fixed_dictionaries(
        {
            "num_steps": st.integers(-1, 3),
            "step_size": ANY_FLOAT,
            "noise_std": st.none() | ANY_FLOAT,
            "noise_schedule": st.sampled_from(["constant", "reciprocal", "x"]),
            "gradient_clip": st.sampled_from([None, "element", "row_norm"]),
            "clip_limit": ANY_FLOAT,
            "metropolis_hastings": st.booleans(),
            "bounds": st.none() | st.tuples(ANY_FLOAT, ANY_FLOAT),
            "boundary": st.sampled_from(["clamp", "reject"]),
        }
    ),
    SEEDS,
)
def test_a_chain_is_refused_or_keeps_its_promises(settings, seed):
    try:
        chain = LangevinChain(**settings)
    except ValueError as error:
        assert is_one_line(error)
        return
    x, diagnostics = chain.run(
        chain.clamp(tf.zeros([3, 2])),
        lambda x: tf.reduce_sum(x**2, -1),
        seed,
    )
    assert x.shape == [3, 2] and x.dtype == tf.float32
    if chain.bounds is not None:
        low, high = np.float32(chain.bounds)
        inside = (x.numpy() >= low) & (x.numpy() <= high)
        assert np.all(inside | np.isnan(x))
    assert 0 <= float(diagnostics.acceptance) <= 1


@hypothesis.given(
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=5).flatmap(
        lambda shape: arrays(shape, **TAME)
    ),
    SEEDS,
)
def test_latents_stay_in_their_space(z, seed):
    assert Euclidean().project(z) is z
    norms = np.sqrt(
        np.sum(
            Sphere().project(tf.constant(z)).numpy().astype(float) ** 2,
            axis=tuple(range(1, z.ndim)),
        )
    )
    assert np.all(norms <= 1 + 1e-5)
    sample = Sphere().sample(z.shape, seed, z.dtype)
    assert sample.shape == z.shape and sample.dtype == z.dtype


# --- Replay buffer ------------------------------------------------------------


@hypothesis.given(
    st.integers(1, 7), st.lists(st.integers(0, 12), max_size=6), SEEDS
)
def test_a_buffer_is_a_queue_of_fixed_length(capacity, sizes, seed):
    buffer = ReplayBuffer(capacity, [1])
    queue = collections.deque(maxlen=capacity)
    next_state = 1
    for size in sizes:
        states = range(next_state, next_state + size)
        next_state += size
        queue.extend(states)
        buffer.push(tf.constant(list(states), tf.float32, [size, 1]))
    assert int(buffer.size) == len(queue)
    held = np.ravel(buffer.states)[: len(queue)]
    assert sorted(held.tolist()) == list(queue)
    starts = buffer.restart(tf.zeros([5, 1]), 1.0, seed)
    assert set(np.ravel(starts)) <= (set(queue) or {0})


@hypothesis.given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 6),
)
def test_dealing_keeps_the_newest_and_doubles_none(
    num_pushed, old_capacity, replicas, capacity
):
    states = np.zeros([len(num_pushed), old_capacity, 1], np.float32)
    ages = {}
    for ring, pushed in enumerate(num_pushed):
        for push in range(max(0, pushed - old_capacity), pushed):
            state = 100 * (ring + 1) + push
            states[ring, push % old_capacity] = state
            ages[state] = pushed - 1 - push
    dealt, counts = deal_out(
        tf.constant(states),
        tf.constant(num_pushed, tf.int64),
        replicas,
        capacity,
    )
    kept = [
        int(state)
        for ring, count in zip(dealt.numpy(), counts.numpy(), strict=True)
        for state in ring[:count, 0]
    ]
    assert len(set(kept)) == len(kept) == min(len(ages), replicas * capacity)
    dropped = set(ages) - set(kept)
    youngest_dropped = min(map(ages.get, dropped), default=math.inf)
    assert max(map(ages.get, kept), default=0) <= youngest_dropped


# --- Scores -------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return NAE(*vector_networks(), sampler=short_sampler((0.0, 1.0)))


@hypothesis.given(
    st.sampled_from(["f2", "f4", "f8", "i4", "u1", "?", "c8"]).flatmap(
        lambda dtype: hnp.arrays(
            dtype, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
        )
    )
)
def test_scoring_anything(model, x):
    in_order = (
        x.ndim == 2
        and x.shape[1] == 4
        and x.dtype.kind == "f"
        and np.all((x >= 0) & (x <= 1))
    )
    try:
        scores = model.predict_outlier_score(x)
    except (ValueError, TypeError) as error:
        assert not in_order and is_one_line(error)
        return
    assert in_order
    assert scores.shape == x.shape[:1] and np.isfinite(scores).all()


@hypothesis.given(
    arrays(st.integers(0, 12), **TAME), arrays(st.integers(0, 12), **TAME)
)
def test_auroc_is_that_of_scikit_learn(inliers, outliers):
    if not len(inliers) or not len(outliers):
        with pytest.raises(ValueError) as error:
            auroc(inliers, outliers)
        assert is_one_line(error)
        return
    labels = [0] * len(inliers) + [1] * len(outliers)
    expected = roc_auc_score(labels, np.concatenate([inliers, outliers]))
    assert auroc(inliers, outliers) == pytest.approx(expected)


@hypothesis.given(
    arrays(st.integers(0, 20)),
    arrays(st.integers(0, 20)),
    st.floats(-0.5, 1.5),
)
def test_calibration_by_anything(calibration_scores, scores, rate):
    try:
        calibration = Calibration(calibration_scores, rate)
        p_values = calibration.p_values(scores)
    except ValueError as error:
        assert is_one_line(error)
        return
    assert np.all((p_values > 0) & (p_values <= 1))
    order = np.argsort(scores, kind="stable")
    assert np.all(np.diff(p_values[order]) <= 0)
    again = Calibration.from_json(calibration.to_json())
    np.testing.assert_array_equal(again.p_values(scores), p_values)
    rejected = benjamini_hochberg(p_values, rate)
    assert rejected.shape == p_values.shape
    # Whoever is rejected, so is everybody with a smaller p-value.
    assert not rejected.any() or np.all(
        rejected[p_values <= p_values[rejected].max()]
    )


# --- Data and configuration ---------------------------------------------------


@hypothesis.given(
    st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**31 - 1)
)
def test_every_epoch_has_every_example_once(count, batch_size, seed):
    values = np.arange(count, dtype=np.float32)[:, None]
    examples = ArrayExamples("numbers", count, (1,), None, lambda: values)
    batches = examples.training_batches(batch_size, seed)
    steps = math.ceil(2 * count / batch_size)
    seen = np.concatenate([batch.numpy() for batch in batches.take(steps)])
    for epoch in range(2):
        part = np.ravel(seen[epoch * count : (epoch + 1) * count])
        assert sorted(part.tolist()) == list(range(count))


@hypothesis.given(
    st.integers(0, 50),
    st.lists(st.integers(0, 20), max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_splits_are_disjoint_and_complete(count, sizes, seed):
    try:
        parts = task.split_indices(count, sizes, seed)
    except ValueError as error:
        assert sum(sizes) >= count and is_one_line(error)
        return
    assert [len(part) for part in parts[1:]] == sizes
    assert sorted(np.concatenate(parts)) == list(range(count))


@hypothesis.given(
    st.integers(2, 256).flatmap(
        lambda levels: st.tuples(
            st.just(levels),
            st.lists(st.integers(0, levels - 1), min_size=1, max_size=9),
        )
    ),
    st.floats(0, 1, exclude_max=True, width=32),
)
def test_dequantised_pixels_keep_their_level(pixels, noise):
    levels, values = pixels
    x = np.array(values) / (levels - 1)
    dequantised = add_dequantization_noise(x, noise, levels)
    assert np.all((dequantised >= 0) & (dequantised <= 1))
    np.testing.assert_array_equal(
        np.floor(dequantised * levels + 1e-9).clip(max=levels - 1), values
    )


@hypothesis.given(
    st.text(max_size=40)
    | st.from_regex(r"(NAE|Phase|Experiment|x)\.\w{0,6} ?= ?\S{0,8}")
)
def test_any_binding_is_parsed_or_refused_in_one_line(text):
    try:
        configuration.parse_config([], [text])
    except ValueError as error:
        assert is_one_line(error)
