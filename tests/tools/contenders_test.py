"""What the benchmark counts, and that the twin is the same model."""

import numpy as np
import pytest

from benchmarking.contenders import Contender, Ours, forward_flops
from nae_tf.networks.conv28 import Conv28Decoder, Conv28Encoder
from nae_tf.networks.mlp import MLPEncoder
from reproduction.cells import REPOSITORY


class Counter:
    def __init__(self, start):
        self.value = start

    def add(self, number):
        self.value += number
        return self.value

    def fail(self):
        raise ValueError("no such thing")


@pytest.mark.slow
def test_a_contender_lives_in_a_process_of_its_own():
    contender = Contender(Counter, 3)
    assert contender.call("add", 4) == 7
    assert contender.call("add", 1) == 8
    assert contender.seconds("add", 1) > 0
    with pytest.raises(RuntimeError, match="no such thing"):
        contender.call("fail")
    contender.close()


@pytest.mark.slow
def test_our_model_needs_no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("NAE_TF_DATA_DIR", str(tmp_path))  # Where there is none.
    bindings = [
        "training/Phase.batch_size = 3",
        "latent/LangevinChain.num_steps = 1",
        "visible/LangevinChain.num_steps = 2",
        "Conv28Encoder.width = 2",
        "Conv28Decoder.width = 2",
        "Conv28Encoder.hidden_units = 4",
    ]
    gin_file = str(REPOSITORY / "gin" / "mnist.gin")
    contender = Contender(Ours, [gin_file], bindings, "float32")
    before, _ = contender.call("weights")
    contender.call("step")
    after, _ = contender.call("weights")
    pairs = zip(before, after, strict=True)
    assert not any(np.array_equal(*pair) for pair in pairs)
    assert contender.call("chains") == {
        "latent_steps": 1,
        "visible_steps": 2,
        "batch_size": 3,
    }
    contender.close()


def test_operations_are_those_of_the_plain_layers():
    # Table 10 by hand: positions x kernel area x channels in x channels out.
    encoder = (
        26**2 * 9 * 1 * 4
        + 24**2 * 9 * 4 * 8
        + 10**2 * 9 * 8 * 8
        + 8**2 * 9 * 8 * 16
        + 4**2 * 16 * 20
        + 20 * 5
    )
    decoder = (
        5 * 4**2 * 16
        + 8**2 * 9 * 16 * 8
        + 10**2 * 9 * 8 * 8
        + 24**2 * 9 * 8 * 4
        + 26**2 * 9 * 4 * 1
    )
    networks = Conv28Encoder(5, 4, 20), Conv28Decoder(5, 4)
    assert forward_flops(networks[0]) == 2 * encoder
    assert forward_flops(networks[1]) == 2 * decoder
    mlp = MLPEncoder(5, (3, 2), (7,))
    assert forward_flops(mlp) == 2 * (6 * 7 + 7 * 5)


def test_the_twin_gives_the_same_energies():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from benchmarking.contenders import Twin
    from nae_tf import NAE

    encoder, decoder = Conv28Encoder(5, 4, 20), Conv28Decoder(5, 4)
    model = NAE(encoder, decoder)
    x = np.random.default_rng(0).uniform(size=(3, 28, 28, 1)).astype("float32")
    weights = encoder.get_weights(), decoder.get_weights()
    for channels_last in (False, True):
        twin = Twin(weights, {"batch_size": 2}, channels_last=channels_last)
        np.testing.assert_allclose(
            twin.score(x), model.energy(x).numpy(), rtol=1e-5
        )
