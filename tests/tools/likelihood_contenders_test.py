"""The twins of Glow and PixelCNN++ are the same models, and train."""

import importlib.util

import numpy as np
import pytest

from benchmarking.contenders import Contender
from benchmarking.likelihood_contenders import (
    LikelihoodTwinContender,
    OurLikelihood,
    noise_images,
)

SMALL = [
    "Glow.num_steps = 2",
    "Glow.hidden_channels = 4",
    "PixelCNN.num_channels = 4",
    "PixelCNN.num_components = 2",
    "PixelCNN.num_scales = 2",
    "baseline/Phase.batch_size = 8",
]


def start(method):
    return Contender(OurLikelihood, method, SMALL, (8, 8, 1))


@pytest.mark.slow
def test_our_model_trains_without_data():
    contender = start("glow")
    images = contender.call("images")
    assert images.shape == (8, 8, 8, 1)
    before = contender.call("bits", images)
    contender.call("step", 3)
    # The first rates of the warm-up are small.
    assert (contender.call("bits", images) != before).any()
    contender.close()


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is missing"
)
@pytest.mark.parametrize("method", ["glow", "pixelcnn"])
def test_the_twin_has_the_same_likelihood_and_trains(method):
    contender = start(method)
    contender.call("step", 20)  # So that no layer is the identity.
    images = noise_images(5, (8, 8, 1), 256)
    twin = Contender(
        LikelihoodTwinContender, method, contender.call("twin"), images
    )
    bits = contender.call("bits", images)
    np.testing.assert_allclose(twin.call("bits", images), bits, rtol=1e-4)
    twin.call("step", 20)
    assert not np.allclose(twin.call("bits", images), bits, rtol=1e-3)
    twin.close()
    contender.close()


def test_noise_has_all_grey_levels():
    levels = noise_images(64, (8, 8, 1), 17) * 16
    np.testing.assert_array_equal(np.unique(np.rint(levels)), np.arange(17))
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-5)
