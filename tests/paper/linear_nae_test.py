"""The linear NAE is a Gaussian with a known covariance (appendix A.2)."""

import keras
import numpy as np
import pytest
from tiny_models import tied_networks

from nae_tf import NAE, Euclidean, LangevinChain, OnManifold

TEMPERATURE = 0.5


def model_covariance(kernel):
    """Sigma, with Sigma^-1 = 2 (I - W^T W)^2 / T and kernel = W^T."""
    residual = np.eye(len(kernel)) - kernel @ kernel.T
    return np.linalg.inv(2 * residual @ residual / TEMPERATURE)


def linear_nae(kernel):
    # Adjusted, the visible chain samples the model without a bias of its own.
    visible_chain = LangevinChain(
        30, 0.1, noise_std=0.3, metropolis_hastings=True
    )
    return NAE(
        *tied_networks(kernel),
        sampler=OnManifold(
            latent_chain=LangevinChain(5, 0.05), visible_chain=visible_chain
        ),
        latent_space=Euclidean(),
        reduction="sum",
        # The penalty would pull the optimum away from maximum likelihood.
        negative_energy_penalty=0.0,
        temperature=TEMPERATURE,
    )


@pytest.fixture(scope="module")
def kernel():
    """W^T with 3 features and 4 latents; W^T W has eigenvalues in (0, 1)."""
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    eigenvalues = np.diag(np.sqrt([0.4, 0.2, 0.1]))
    latent_axes, _ = np.linalg.qr(rng.normal(size=(4, 3)))
    return (rotation @ eigenvalues @ latent_axes.T).astype("float32")


def test_energy_is_that_of_the_gaussian(kernel):
    x = np.random.default_rng(1).normal(size=(20, 3)).astype("float32")
    precision = np.linalg.inv(model_covariance(kernel))
    expected = -np.einsum("ni,ij,nj->n", x, precision, x) / 2
    model = linear_nae(kernel)
    model.build([None, 3])
    np.testing.assert_allclose(model.log_density(x), expected, rtol=1e-4)


def test_maximum_likelihood_recovers_the_covariance_of_the_data(kernel):
    rng = np.random.default_rng(2)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    covariance = axes @ np.diag([0.35, 0.6, 1.2]) @ axes.T
    x = rng.multivariate_normal(np.zeros(3), covariance, size=4_000)
    empirical = x.T @ x / len(x)
    model = linear_nae(kernel)
    for learning_rate, epochs in [(0.1, 5), (0.02, 5), (0.004, 3)]:
        model.compile(keras.optimizers.SGD(learning_rate))
        model.fit(x.astype("float32"), batch_size=200, epochs=epochs, verbose=0)
    learned = model_covariance(model.encoder.kernel.numpy())
    error = np.linalg.norm(learned - empirical) / np.linalg.norm(empirical)
    start = np.linalg.norm(model_covariance(kernel) - empirical)
    assert start / np.linalg.norm(empirical) > 0.4
    assert error < 0.1
