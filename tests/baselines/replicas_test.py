"""Every method trains on two replicas as on one device."""

import functools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from methods import METHODS
from slow_cases import slow_unless
from tiny_runs import ROOT

# With a state of its own, an adversary, a buffer, or a frozen copy of weights.
STATES = ["ganomaly", "igebm", "mpdr", "vqvae"]
GROUPS = [STATES, sorted({*METHODS} - {*STATES})]
PARAMETERS = slow_unless(STATES, [*STATES, *GROUPS[1]])


@functools.cache
def trained_group(number):
    """What tests/helpers/methods_on_replicas.py found of a group."""
    script = ROOT / "tests" / "helpers" / "methods_on_replicas.py"
    process = subprocess.run(
        [sys.executable, script, *GROUPS[number]],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture
def trained(request):
    """What was found of the method of a test and of others of its group."""
    method = request.node.callspec.params["method"]
    return trained_group(0 if method in GROUPS[0] else 1)


@pytest.fixture
def found():
    """What does not depend on the method."""
    return trained_group(0)


@pytest.mark.parametrize("method", PARAMETERS)
def test_two_replicas_train_a_method_as_one_device_does(method, trained):
    one, two = trained[method]
    for part, values in one.items():
        assert values.keys() == two[part].keys()
        for name, value in values.items():
            assert np.isfinite(value).all()
            np.testing.assert_allclose(
                two[part][name], value, rtol=1e-6, atol=1e-9, err_msg=name
            )


@pytest.mark.parametrize("method", PARAMETERS)
def test_a_replica_without_examples_has_convolutions_too(method, trained):
    for values in trained["convolutions"][method].values():
        for name, value in values.items():
            assert np.isfinite(value).all(), name


def test_all_replicas_update_mixed_networks_in_full_precision(found):
    # Two layers, two replicas.
    assert found["types"] == ["float32"] * 4


def test_every_replica_has_noise_of_its_own_unless_it_is_to_be_shared(found):
    (first, second), shared, of_evaluation = found["seeds"]
    assert first != second
    assert shared == [first, first]
    assert of_evaluation[0] == of_evaluation[1] != first


def test_two_replicas_refuse_networks_that_are_not_built(found):
    assert "on several replicas; begin them with keras" in found["refusal"]
    assert "\n" not in found["refusal"]
