"""Divergence is noticed, told and acted upon."""

import math
import warnings

import keras
import numpy as np
import pytest

from nae_tf.training.divergence import (
    DivergenceError,
    DivergenceGuard,
    WatchDivergence,
    reconstruction_spread,
    warn_of_collapse,
    weight_norm,
)

HEALTHY = {
    "loss": 0.01,
    "positive_energy": 0.02,
    "energy_gap": 0.01,
    "visible_fraction_at_bound": 0.1,
}


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd")
    model.set_weights([np.full((3, 2), 2.0), np.full(2, 1.0)])
    return model


@pytest.fixture
def watch(model):
    watch = WatchDivergence(DivergenceGuard(weights_every=1))
    watch.set_model(model)
    watch.set_params({"steps": 10})
    watch.check_weights()
    return watch


def epochs(watch, *all_metrics):
    for epoch, metrics in enumerate(all_metrics):
        watch.on_epoch_begin(epoch)
        watch.on_train_batch_end(0, HEALTHY)
        watch.on_epoch_end(epoch, HEALTHY | metrics)


def test_a_healthy_training_is_left_alone(watch):
    epochs(watch, *[{}] * 20)
    assert watch.good


def test_the_norm_is_that_of_all_weights(model):
    assert weight_norm(model) == pytest.approx(math.sqrt(6 * 4 + 2))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["loss", "positive_energy"])
def test_a_metric_that_is_no_number_is_noticed_at_once(watch, name, bad):
    epochs(watch, {"loss": 0.5}, {"loss": 0.25})
    watch.on_epoch_begin(2)
    with pytest.raises(DivergenceError, match=f"epoch 3: {name} became") as e:
        watch.on_train_batch_end(0, HEALTHY | {name: bad})
    if name == "loss":
        assert "loss by epoch: 1: 0.5, 2: 0.25" in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("factor", "message"),
    [(math.nan, "NaN"), (math.inf, "NaN"), (21.0, "grew from 5.1 to 107")],
)
def test_weights_beyond_bounds_are_noticed(model, watch, factor, message):
    model.set_weights([factor * weight for weight in model.get_weights()])
    with pytest.raises(DivergenceError, match=message):
        watch.on_train_batch_end(0, HEALTHY)


def test_weights_within_bounds_are_not(model, watch):
    model.set_weights([19.0 * weight for weight in model.get_weights()])
    watch.on_train_batch_end(0, HEALTHY)


def test_the_last_step_of_an_epoch_is_always_looked_at(model):
    watch = WatchDivergence(DivergenceGuard(weights_every=100))
    watch.set_model(model)
    watch.set_params({"steps": 10})
    watch.check_weights()
    model.set_weights([np.nan * weight for weight in model.get_weights()])
    model.optimizer.iterations.assign(9)
    watch.on_train_batch_end(8, HEALTHY)
    with pytest.raises(DivergenceError, match="NaN"):
        watch.on_train_batch_end(9, HEALTHY)


def test_the_gap_is_measured_by_the_energy_of_the_first_epoch(watch):
    later = {"positive_energy": 2.0, "energy_gap": 1.01}
    epochs(watch, {}, later, later)
    with pytest.raises(DivergenceError, match="ran away beyond 1 for 3"):
        watch.on_epoch_end(3, HEALTHY | later)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"energy_gap": -1.01}, "ran away beyond 1 for 3 epochs"),
        ({"energy_gap": 1.01}, "ran away beyond 1 for 3 epochs"),
        ({"visible_fraction_at_bound": 0.995}, "stuck at the bounds"),
    ],
)
def test_metrics_beyond_their_bounds_count_after_patience(
    watch, metrics, message
):
    # A transition that ends within two epochs is healthy.
    epochs(watch, {}, metrics, metrics, {}, metrics, metrics)
    assert not watch.good
    with pytest.raises(DivergenceError, match=message) as error:
        watch.on_epoch_end(6, HEALTHY | metrics)
    (name, value), *_ = metrics.items()
    assert f"{name} by epoch: 1: {HEALTHY[name]:.3g}, 2: {value:.3g}" in str(
        error.value
    )


def test_the_state_goes_on_where_it_was(model, watch):
    stuck = {"visible_fraction_at_bound": 1.0}
    epochs(watch, {}, stuck, stuck)
    again = WatchDivergence(watch.guard)
    again.set_model(model)
    again.set_state(watch.get_state())
    assert not again.good
    with pytest.raises(DivergenceError, match=r"3: 1, 4: 1"):
        again.on_epoch_end(3, HEALTHY | stuck)


def test_what_a_phase_started_from_survives_an_interruption(model, watch):
    epochs(watch, {})
    again = WatchDivergence(watch.guard)
    again.set_model(model)
    again.set_state(watch.get_state())
    later = {"positive_energy": 2.0, "energy_gap": 1.01}
    again.on_epoch_end(1, HEALTHY | later)
    again.on_epoch_end(2, HEALTHY | later)
    with pytest.raises(DivergenceError, match="ran away beyond 1 for 3"):
        again.on_epoch_end(3, HEALTHY | later)
    model.set_weights([21.0 * weight for weight in model.get_weights()])
    with pytest.raises(DivergenceError, match=r"grew from 5\.1 to 107"):
        again.check_weights()


@pytest.mark.parametrize("name", ["positive_energy", "negative_energy"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_energies_without_a_unit_have_a_limit_of_their_own(model, name, sign):
    watch = WatchDivergence(DivergenceGuard(max_energy=10.0))
    watch.set_model(model)
    watch.set_params({"steps": 10})
    near, far = ({name: sign * value, "energy_gap": 0.0} for value in (9.9, 11))
    epochs(watch, {}, near, near, near, far, far)
    with pytest.raises(DivergenceError, match=f"{name} ran away beyond 10"):
        watch.on_epoch_end(6, HEALTHY | far)


@pytest.mark.parametrize(
    ("slope", "offset", "spread"), [(1, 0, 1), (0.5, 3, 0.25), (0, 7, 0)]
)
def test_the_spread_is_that_of_reconstructions_over_that_of_data(
    slope, offset, spread
):
    x = np.float32([[1, 0, 4], [2, 0, -4], [9, 0, 4]])
    measured = reconstruction_spread(lambda x: slope * x + offset, x)
    assert measured == pytest.approx(spread)


@pytest.mark.parametrize("num_examples", [1, 3])
def test_examples_that_are_all_the_same_tell_nothing(num_examples, capsys):
    x = np.ones([num_examples, 2], np.float32)
    with warnings.catch_warnings(action="error"):
        assert math.isnan(reconstruction_spread(np.zeros_like, x))
        warn_of_collapse("pretraining", np.zeros_like, x)
    assert not capsys.readouterr().err
