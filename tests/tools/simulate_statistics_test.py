"""What the simulated promises are, and that they are kept."""

import numpy as np
import pytest

from simulate_statistics import SIMULATIONS, Promise


@pytest.mark.parametrize(
    ("found", "is_bound", "is_kept"),
    [
        (0.1, False, True),
        (0.14, False, True),
        (0.16, False, False),
        (0.04, False, False),
        (0.04, True, True),
        (0.16, True, False),
    ],
)
def test_a_promise_is_kept_within_five_standard_errors(
    found, is_bound, is_kept
):
    promise = Promise("alarms", 0.1, found, 0.01, is_bound)
    assert promise.z_score == pytest.approx((found - 0.1) / 0.01)
    assert promise.is_kept == is_kept


@pytest.mark.parametrize("simulation", SIMULATIONS, ids=lambda f: f.__name__)
def test_promises_are_kept(simulation):
    promises = list(simulation(np.random.default_rng(1), 150))
    assert promises
    for promise in promises:
        assert promise.is_kept, promise
