"""Every method trains on two replicas as on one device."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from methods import METHODS as OTHER_METHODS
from tiny_runs import ROOT

METHODS = [*OTHER_METHODS, "mpdr"]


@pytest.fixture(scope="module")
def trained():
    """What tests/helpers/methods_on_replicas.py found."""
    script = ROOT / "tests" / "helpers" / "methods_on_replicas.py"
    process = subprocess.run(
        [sys.executable, script, *METHODS],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("method", METHODS)
def test_two_replicas_train_a_method_as_one_device_does(method, trained):
    one, two = trained[method]
    for part, values in one.items():
        assert values.keys() == two[part].keys()
        for name, value in values.items():
            assert np.isfinite(value).all()
            np.testing.assert_allclose(
                two[part][name], value, rtol=1e-6, atol=1e-9, err_msg=name
            )


@pytest.mark.parametrize("method", METHODS)
def test_a_replica_without_examples_has_convolutions_too(method, trained):
    for values in trained["convolutions"][method].values():
        for name, value in values.items():
            assert np.isfinite(value).all(), name


def test_all_replicas_update_mixed_networks_in_full_precision(trained):
    # Two layers, two replicas.
    assert trained["types"] == ["float32"] * 4


def test_every_replica_has_noise_of_its_own_unless_it_is_to_be_shared(trained):
    (first, second), shared, of_evaluation = trained["seeds"]
    assert first != second
    assert shared == [first, first]
    assert of_evaluation[0] == of_evaluation[1] != first


def test_two_replicas_refuse_networks_that_are_not_built(trained):
    assert "on several replicas; begin them with keras" in trained["refusal"]
    assert "\n" not in trained["refusal"]
