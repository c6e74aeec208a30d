"""Snapshots are the weights of their epochs, and change nothing."""

import numpy as np
import pytest
from averaging import AVERAGING, averages
from run_ends import assert_same_end, send_once
from tiny_runs import (
    EPOCHS,
    STEPS,
    autoencoder_experiment,
    record_weights,
    train_autoencoder,
)

from nae_tf.runs import run_directory
from nae_tf.training.snapshots import KeepSnapshots, load_snapshot, snapshots


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run without snapshots, and its weights after every step."""
    path = tmp_path_factory.mktemp("runs") / "plain"
    return path, record_weights(path, "training/Phase.keep='last'")


@pytest.mark.parametrize(
    ("epochs", "count", "expected"),
    [(40, 10, range(4, 41, 4)), (7, 3, (2, 5, 7)), (2, 10, (0, 1, 2))],
)
def test_snapshots_are_evenly_spaced(epochs, count, expected, tmp_path):
    assert KeepSnapshots(tmp_path, epochs, count).epochs == set(expected)


@pytest.mark.parametrize("averaging", [False, True])
def test_snapshots_are_the_weights_of_their_epochs(
    averaging,
    plain,
    tmp_path,
    monkeypatch,
):
    path, steps = plain
    bindings = ["training/Phase.keep='last'", "training/Phase.num_snapshots=2"]
    if averaging:
        bindings += AVERAGING
    with monkeypatch.context() as patch:
        send_once(patch, lambda *at: at == (1, 3))
        with pytest.raises(SystemExit):
            train_autoencoder(tmp_path / "run", *bindings)
    train_autoencoder(tmp_path / "run", *bindings, resume=True)
    if not averaging:
        assert_same_end(tmp_path / "run", path)
    run = run_directory.RunDirectory(tmp_path / "run")
    files = snapshots(run.snapshots("training"))
    assert list(files) == [EPOCHS // 2, EPOCHS]
    model = autoencoder_experiment(*bindings).build_model()
    for epoch, file in files.items():
        load_snapshot(model, file)
        before = steps[: epoch * STEPS]
        expected = averages(before) if averaging else before[-1]
        for weight, value in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(weight, value, rtol=1e-4, atol=1e-6)


def test_a_run_keeps_no_snapshots_unless_asked_to(plain):
    path, _ = plain
    assert not (path / "snapshots").exists()
