"""Models and detectors that `write_files.py` trains and writes."""

from unittest import mock

import keras
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nae_tf import (
    NAE,
    Autoencoder,
    Euclidean,
    LangevinChain,
    NAEDetector,
    OnManifold,
    PersistentContrastiveDivergence,
    Sphere,
    baselines,
    estimator,
    networks,
)


def mlp(example_shape=(4,), latent_dim=3, activation=None, dtype="float64"):
    return (
        networks.MLPEncoder(latent_dim, example_shape, (6,), dtype=dtype),
        networks.MLPDecoder(
            latent_dim, example_shape, (6,), activation, dtype=dtype
        ),
    )


def fc_res2(num_features, latent_dim):
    sizes = {"units": 6, "hidden_units": 8, "num_blocks": 1}
    return (
        networks.FCRes2Encoder(
            latent_dim, num_features, **sizes, dtype="float64"
        ),
        networks.FCRes2Decoder(
            latent_dim, num_features, **sizes, dtype="float64"
        ),
    )


def sampler():
    """No setting of it is the default."""
    return OnManifold(
        latent_chain=LangevinChain(
            2,
            0.1,
            noise_schedule="reciprocal",
            gradient_clip="row_norm",
            clip_limit=0.5,
            num_parts=2,
        ),
        visible_chain=LangevinChain(
            3,
            0.05,
            0.1,
            metropolis_hastings=True,
            bounds=(-4.0, 4.0),
            boundary="reject",
        ),
        replay_ratio=0.5,
        replay_capacity=20,
        generation_factor=2,
    )


def persistent():
    return PersistentContrastiveDivergence(
        visible_chain=LangevinChain(
            2, 10.0, 0.01, gradient_clip="element", bounds=(0.0, 1.0)
        ),
        replay_ratio=0.9,
        replay_capacity=8,
    )


def make_models():
    """Models of vectors and of images, by the names of their files."""
    keras.utils.set_random_seed(0)
    double = {"dtype": "float64"}
    vectors = {
        "nae": NAE(
            *fc_res2(4, 3),
            sampler=sampler(),
            latent_space=Euclidean(),
            distance="absolute_error",
            reduction="sum",
            negative_energy_penalty=0.5,
            encoder_l2=0.01,
            decoder_l2=0.02,
            latent_l2=0.03,
            temperature=0.4,
            temperature_learning_rate=0.05,
            seed=7,
            name="detector",
            **double,
        ),
        "autoencoder": Autoencoder(
            *mlp(),
            latent_space=Sphere(),
            reduction="sum",
            encoder_l2=0.01,
            name="baseline",
            **double,
        ),
        "dae": baselines.DAE(
            *mlp(), noise_std=0.2, latent_space=Sphere(), seed=1, **double
        ),
        "vae": baselines.VAE(
            *gaussian(mlp),
            decoder_std=0.5,
            trains_decoder_std=True,
            score="likelihood",
            num_samples=4,
            seed=2,
            **double,
        ),
        "wae": baselines.WAE(*mlp(), mmd_weight=0.02, seed=3, **double),
        "rae": baselines.RAE(
            *mlp(), latent_weight=0.1, gradient_penalty=0.1, seed=4, **double
        ),
        "vqvae": baselines.VQVAE(
            *mlp(latent_dim=4), num_codes=5, code_dim=2, seed=5, **double
        ),
        "memae": baselines.MemAE(*mlp(), memory_size=5, **double),
        "dagmm": baselines.DAGMM(
            *mlp(), num_components=2, hidden_units=3, seed=6, **double
        ),
        "ganomaly": baselines.GANomaly(
            *mlp(), mlp()[0], mlp()[0], latent_space=Sphere(), **double
        ),
    }
    images = {
        "images": NAE(
            networks.Conv28Encoder(3, 1, 4, **double),
            networks.Conv28Decoder(3, 1, **double),
            sampler=persistent(),
            distance="ssim",
            seed=8,
            **double,
        ),
    }
    return vectors, images


def gaussian(make_networks):
    encoder, decoder = make_networks()
    return baselines.gaussian_encoder(encoder), decoder


def make_low_precision_model(vectors):
    """A model whose scores are the same whoever rounds.

    A unit of a layer adds or subtracts two numbers and halves the result, which
    takes one binary digit more than they have. Examples of four digits are
    reconstructed in the eight digits of bfloat16, and nothing is rounded.
    """
    low, double = (
        NAE(
            *mlp(dtype=dtype),
            sampler=sampler(),
            latent_space=Euclidean(),
            dtype=dtype,
        )
        for dtype in ("mixed_bfloat16", "float64")
    )
    for name in ("encoder", "decoder"):
        weights = [
            halved_sums_of_two(weight) if weight.ndim == 2 else 0 * weight
            for weight in getattr(low, name).get_weights()
        ]
        for model in (low, double):
            getattr(model, name).set_weights(weights)
    np.testing.assert_array_equal(
        low.predict_outlier_score(vectors),
        double.predict_outlier_score(vectors),
    )
    return low


def halved_sums_of_two(kernel):
    largest = np.argsort(-abs(kernel), axis=0)[:2]
    signs = np.sign(np.take_along_axis(kernel, largest, axis=0))
    result = np.zeros_like(kernel)
    np.put_along_axis(result, largest, signs / 2, axis=0)
    return result


def fitted_detectors(vectors):
    """Detectors by the names of their files."""
    settings = {
        "pretraining_epochs": 3,
        "epochs": 3,
        "batch_size": 8,
        "random_state": 0,
    }
    detectors = {
        "fc_res2": NAEDetector(networks="FCRes2", **settings),
        "mlp": NAEDetector(networks="MLP", **settings),
        "pipeline": make_pipeline(
            StandardScaler(), NAEDetector(networks="MLP", **settings)
        ),
        # What is given to a detector is in its pickle by the path of its class.
        "parts": NAEDetector(
            0.2,
            networks="MLP",
            latent_dim=3,
            latent_space=Euclidean(),
            sampler=sampler(),
            **settings,
        ),
    }
    # Tables as wide as those that users fit would make files of megabytes.
    narrow = {
        "FCRes2": fc_res2,
        "MLP": lambda num_features, latent_dim: mlp(
            (num_features,), latent_dim
        ),
    }
    with mock.patch.dict(estimator.NETWORKS, narrow):
        return {
            name: detector.fit(vectors) for name, detector in detectors.items()
        }
