"""Parts of tools/soak.py: what it measures, and that it finds what is wrong."""

import os
import pathlib

import numpy as np
import pytest

from soaking.clients import RefusedError, ask_for, percentiles, requests
from soaking.memory import growth, resident_mebibytes

IMAGES = np.random.default_rng(0).random((20, 3, 3, 1), np.float32)
ENERGIES = IMAGES.mean(axis=(1, 2, 3))


def test_growth_finds_a_slope_and_its_noise():
    counts = np.arange(1000)
    noise = np.random.default_rng(0).normal(size=1000)
    exact = growth(counts, 50 + 0.25 * counts)
    assert exact["slope"] == pytest.approx(0.25)
    assert exact["standard_error"] == pytest.approx(0, abs=1e-9)
    # Means of the first and the last hundred.
    assert (exact["first"], exact["last"]) == pytest.approx((62.375, 287.375))
    flat = growth(counts, 50 + noise)
    assert abs(flat["slope"]) < 4 * flat["standard_error"]
    # Samples that repeat themselves tell no more than one of them does.
    repeated = growth(counts, 50 + np.repeat(noise[:10], 100))
    assert repeated["standard_error"] > 5 * flat["standard_error"]


def test_memory_is_that_of_the_process():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    expected = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert resident_mebibytes(os.getpid()) == pytest.approx(expected, rel=0.05)


def test_percentiles_are_numpys_in_milliseconds():
    found = percentiles(np.arange(1001) / 1000)
    assert found == {"count": 1001, "p50": 500, "p99": 990, "p99.9": 999}


def answer(examples):
    """A right server: NaN for a row out of range, other shapes refused."""
    if examples.shape[1:] != (3, 3, 1):
        raise RefusedError("shape")
    energies = examples.mean(axis=(1, 2, 3))
    energies[(examples > 1).any(axis=(1, 2, 3))] = np.nan
    return energies


def lets_bad_rows_spoil_others(examples):
    energies = answer(examples)
    return energies + np.nan * np.isnan(energies).any()


def forgets_to_refuse(examples):
    return answer(examples[:, :3]) if examples.shape[1] == 3 else np.zeros(1)


def refuses_all(examples):
    raise RefusedError("busy")


def fails(examples):
    raise ConnectionResetError("gone")


def asked(server):
    """Counts of two clients that ask for half a second."""
    return ask_for(0.5, {"one": lambda: server}, IMAGES, ENERGIES, 2)


def test_right_answers_are_no_errors():
    counts = asked(answer)
    assert counts.errors == []
    assert counts.refused > 0 and counts.joined > 0
    assert counts.total() == counts.refused + len(counts.latencies["one"])


@pytest.mark.parametrize(
    ("server", "error"),
    [
        (lets_bad_rows_spoil_others, "expected"),
        (forgets_to_refuse, "a bad request was answered"),
        (refuses_all, "refused: busy"),
        (fails, "ConnectionResetError: gone"),
    ],
)
def test_wrong_answers_are_errors(server, error):
    assert any(error in found for found in asked(server).errors)


def test_requests_are_those_of_the_seed():
    twice = [
        [next(drawn) for _ in range(40)]
        for drawn in (requests(IMAGES, ENERGIES, 3) for _ in range(2))
    ]
    for one, other in zip(*twice, strict=True):
        np.testing.assert_array_equal(one.examples, other.examples)
    kinds = [
        "refused"
        if request.energies is None
        else "joined"
        if np.isnan(request.energies).any()
        else "good"
        for request in twice[0]
    ]
    assert [kinds.count(kind) for kind in ("refused", "joined", "good")] == [
        2,
        2,
        36,
    ]
