"""Models and their networks, those of the other methods too."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf
from tiny_models import image_networks, short_sampler, vector_networks

from nae_tf import NAE, Autoencoder
from nae_tf.baselines import (
    DAE,
    DAGMM,
    IGEBM,
    RAE,
    VAE,
    VQVAE,
    WAE,
    GANomaly,
    Glow,
    MemAE,
    PixelCNN,
    energy_network,
    gaussian_encoder,
)
from nae_tf.energy import structural_dissimilarity
from nae_tf.networks.conv64 import Conv64Encoder
from nae_tf.networks.fast_layers import UpsampledConv2DTranspose

NAN, INFINITY = math.nan, math.inf


def nae(**settings):
    return lambda: NAE(*vector_networks(), **settings)


def autoencoder(**settings):
    return lambda: Autoencoder(*vector_networks(), **settings)


def method(kind, **settings):
    """Latents of four, which VQ-VAE's codes divide."""
    return lambda: kind(*vector_networks(latent_dim=4), **settings)


def vae(**settings):
    return lambda: VAE(
        vector_networks(latent_dim=6)[0], vector_networks()[1], **settings
    )


def linear_vae(outputs):
    """With a decoder that takes anything."""
    encoder = keras.Sequential([keras.Input([4]), keras.layers.Dense(outputs)])
    return lambda: VAE(encoder, keras.layers.Dense(4))


def ganomaly(second_encoder=None, discriminator=None, **settings):
    encoder, decoder = vector_networks()
    return lambda: GANomaly(
        encoder,
        decoder,
        second_encoder or vector_networks()[0],
        discriminator or vector_networks(latent_dim=5)[0],
        **settings,
    )


def with_heads(count):
    """An encoder of several outputs."""
    x = keras.Input([4])
    heads = [keras.layers.Dense(3)(x) for _ in range(count)]
    return keras.Model(x, heads)


def named_output():
    x = keras.Input([4])
    return keras.Model(x, {"z": keras.layers.Dense(3)(x)})


def two_inputs():
    inputs = [keras.Input([4]), keras.Input([4])]
    return keras.Model(inputs, keras.layers.Dense(3)(inputs[0]))


def asked(method, x):
    """A method on tensors, called with an array."""
    return lambda: getattr(nae()(), method)(np.asarray(x))


def standardised(method):
    model = nae(sampler=short_sampler())().standardize(np.eye(4))
    return getattr(model, method)(np.eye(4))


def built_glow(shape, **settings):
    return lambda: Glow(**settings).build((None, *shape))


def matrices():
    """A discriminator without a feature vector."""
    return keras.Sequential([keras.Input([4]), keras.layers.Reshape([2, 2])])


CASES = {
    "distance": (
        autoencoder(distance="cosine"),
        "distance 'squared_error', .*'ssim', received 'cosine'",
    ),
    "reduction": (autoencoder(reduction="max"), "'mean' or 'sum'"),
    "latent space": (autoencoder(latent_space="sphere"), r"Euclidean\(\)"),
    "encoder_l2": (autoencoder(encoder_l2=-1.0), "encoder_l2 >= 0"),
    "infinite encoder_l2": (
        autoencoder(encoder_l2=INFINITY),
        "finite encoder_l2 >= 0, received inf",
    ),
    "ssim of vectors": (
        autoencoder(distance="ssim"),
        "use distance='squared_error'",
    ),
    "networks that do not fit": (
        lambda: Autoencoder(
            vector_networks(units=4)[0], vector_networks(units=5)[1]
        ),
        r"expected \[4\], received \[5\]",
    ),
    "latents that do not fit": (
        lambda: NAE(
            vector_networks(latent_dim=3)[0], vector_networks(latent_dim=5)[1]
        ),
        r"latents, which have the shape \[3\], received .* takes \[5\]; give",
    ),
    "an encoder of two outputs": (
        lambda: NAE(with_heads(2), vector_networks()[1]),
        r"encoder a network of one output, .* 2 outputs; .*outputs\[0\]",
    ),
    "an encoder of one output by name": (
        lambda: NAE(named_output(), vector_networks()[1]),
        "received one that returns a dictionary of one; pass keras.Model",
    ),
    "an encoder of two inputs": (
        lambda: NAE(two_inputs(), vector_networks()[1]),
        "encoder a network of one input, .* 2 inputs; join them",
    ),
    "a decoder of two outputs": (
        lambda: NAE(vector_networks(latent_dim=4)[0], with_heads(2)),
        "decoder a network of one output",
    ),
    "a function as network": (
        lambda: NAE(lambda x: x, vector_networks()[1]),
        "encoder a Keras model or layer, received a function; make",
    ),
    "a class as network": (
        lambda: Autoencoder(vector_networks()[0], keras.layers.Dense),
        "decoder a Keras model or layer, received the class Dense",
    ),
    **{
        f"{method} of one example": (
            asked(method, np.zeros(4, np.float32)),
            r"shape \[batch, 4\], received \[4\]; give a single .* x\[None\]",
        )
        for method in ("energy", "encode", "outlier_score", "log_density")
    },
    "a model called on one example": (
        lambda: NAE(*vector_networks())(np.zeros(4, np.float32)),
        r"^Bad input: .*\[batch, 4\], received \[4\]; give a single",
    ),
    **{
        f"examples of {name}": (
            lambda x=x: nae()().fit(x, steps=1),
            f"expected numbers, received {name}; leave out what is text",
        )
        for name, x in {
            "objects": np.array([[1, 2.0, "a", 3]] * 5, object),
            "text": np.array([["a"] * 4]),
        }.items()
    },
    "images without their channel": (
        lambda: NAE(*image_networks()).fit(np.zeros([8, 12, 12]), steps=1),
        r"received \[8, 12, 12\]; give images of one channel as x\[\.\.\., N",
    ),
    "training without an optimizer": (
        lambda: NAE(*vector_networks()).fit(np.zeros([8, 4])),
        r'NAE.fit: expected a compiled model; .* or give steps="auto"',
    ),
    "labels for the pre-training": (
        lambda: NAE(*vector_networks()).pretrain(
            np.zeros([99, 4]), np.arange(99)
        ),
        "NAE.pretrain: expected steps, received an array; labels are not used",
    ),
    "a long array as a number of steps": (
        lambda: NAE(*vector_networks()).fit(
            np.zeros([99, 4]), steps=np.arange(99)
        ),
        r"steps >= 1, received array\(\[ 0, 1.*\.\.\.; or \"auto\"",
    ),
    "energy of other features": (
        asked("energy", np.zeros([2, 5], np.float32)),
        r"\[batch, 4\], received \[2, 5\]\.$",
    ),
    "energy of integers": (
        asked("energy", np.zeros([2, 4], np.int64)),
        "floating-point examples, received int64; convert",
    ),
    **{
        f"{method} of raw features": (
            functools.partial(standardised, method),
            rf"{method}: expected standardised examples.*as_examples\(x\)",
        )
        for method in ("energy", "encode")
    },
    "temperature 0": (nae(temperature=0.0), "temperature > 0, received 0.0"),
    "temperature NaN": (nae(temperature=NAN), "temperature > 0"),
    "infinite temperature": (nae(temperature=INFINITY), "temperature > 0"),
    "temperature rate": (
        nae(temperature_learning_rate=-1.0),
        "temperature_learning_rate >= 0",
    ),
    "penalty": (
        nae(negative_energy_penalty=-1.0),
        "negative_energy_penalty >= 0",
    ),
    "latent_l2": (nae(latent_l2=-1.0), "latent_l2 >= 0"),
    "decoder_l2": (nae(decoder_l2=NAN), "decoder_l2 >= 0"),
    "sampler": (nae(sampler="on_manifold"), "sampler None or a sampler"),
    "groups": (lambda: Conv64Encoder(width=12), "groups or width"),
    "image size unknown": (
        lambda: UpsampledConv2DTranspose(2, 3).build((None, None, 4, 1)),
        r"static height and width.*keras\.Input",
    ),
    "ssim of a matrix": (
        lambda: structural_dissimilarity(tf.zeros([2, 5]), tf.zeros([2, 5])),
        "expected a tensor of shape",
    ),
    "ssim of images of any size": (
        lambda: tf.function(
            structural_dissimilarity, autograph=False
        ).get_concrete_function(*[tf.TensorSpec([None, None, None, 1])] * 2),
        "expected a tensor of shape",
    ),
    # --- Methods ---
    "DAE noise": (
        method(DAE, noise_std=-1.0),
        "noise_std >= 0, received -1",
    ),
    **{
        f"DAGMM {message}": (method(DAGMM, **settings), message)
        for settings, message in [
            ({"num_components": 0}, "num_components >= 1"),
            ({"num_components": 2.5}, "an integer num_components"),
            ({"hidden_units": 0}, "hidden_units >= 1"),
            ({"dropout": 1.0}, r"dropout in \[0, 1\)"),
            ({"decay": -0.1}, r"decay in \[0, 1\)"),
            ({"energy_weight": -1}, "energy_weight >= 0"),
            ({"covariance_weight": -1}, "covariance_weight >= 0"),
            ({"covariance_jitter": 0.0}, "covariance_jitter > 0"),
        ]
    },
    **{
        f"GANomaly {name}": (ganomaly(**{name: -1}), f"{name} >= 0")
        for name in ("adversarial_weight", "contextual_weight", "latent_weight")
    },
    "GANomaly encoders": (
        lambda: ganomaly(vector_networks(latent_dim=5)[0])(),
        r"from both encoders, received \[3\] and \[5\]",
    ),
    "GANomaly discriminator": (
        lambda: ganomaly(discriminator=matrices())(),
        r"features of shape \[batch, num_features\]",
    ),
    **{
        f"Glow {name}": (built_glow((4, 4, 1), **{name: 0}), f"{name} >= 1")
        for name in (
            "num_steps",
            "num_scales",
            "hidden_channels",
            "num_samples",
        )
    },
    "IGEBM penalty": (
        lambda: IGEBM(vector_networks(latent_dim=1)[0], energy_penalty=-1),
        "energy_penalty >= 0",
    ),
    "IGEBM of three outputs": (
        lambda: IGEBM(vector_networks()[0]),
        r"one output, \[batch, 1\], received \[batch, 3\]",
    ),
    "IGEBM on the manifold": (
        lambda: IGEBM(vector_networks(latent_dim=1)[0], short_sampler()),
        "without a latent chain.*use PersistentContrastiveDivergence",
    ),
    "an encoder that gives no energy": (
        lambda: energy_network(vector_networks()[0]),
        "received Sequential; give IGEBM a network with one output",
    ),
    **{
        f"PixelCNN {name}": (
            lambda name=name, value=value: PixelCNN(**{name: value}),
            f"PixelCNN: expected .*{name}.*received {value}",
        )
        for name, value in [
            ("num_blocks", 0),
            ("num_channels", 0),
            ("num_components", 0),
            ("num_scales", 0),
            ("dropout", 1),
            ("num_levels", 257),
            ("num_levels", None),
        ]
    },
    "PixelCNN of odd images": (
        lambda: PixelCNN().build((None, 6, 8, 1)),
        r"= 4, received examples of shape \[6, 8, 1\]",
    ),
    "PixelCNN of vectors": (
        lambda: PixelCNN().build((None, 8)),
        r"\[height, width, 1 or 3\].*received examples of shape \[8\]",
    ),
    "Glow levels": (
        built_glow((4, 4, 1), num_levels=65_536),
        r"num_levels in 2 \.\.\. 256, received 65536",
    ),
    "Glow of odd images": (
        built_glow((6, 7, 1)),
        r"2\*\*num_scales = 2.*received examples of shape \[6, 7, 1\]",
    ),
    "Glow of vectors at two scales": (
        built_glow((6,), num_levels=None, num_scales=2),
        "vectors of at least 2 values with num_scales=1",
    ),
    **{
        f"MemAE {message}": (method(MemAE, **settings), message)
        for settings, message in [
            ({"memory_size": 0}, "memory_size >= 1"),
            ({"shrinkage_threshold": 1.0}, r"shrinkage_threshold in \[0, 1\)"),
            ({"entropy_weight": -1}, "entropy_weight >= 0"),
        ]
    },
    **{
        f"RAE {name}": (
            method(RAE, **{name: -1.0}),
            f"RAE: expected a finite {name} >= 0",
        )
        for name in ("latent_weight", "decoder_l2", "gradient_penalty")
    },
    **{
        f"VAE {name} {value}": (
            vae(**{name: value}),
            f"VAE: expected .*{name}.*received.*{value}",
        )
        for name, value in [
            ("decoder_std", 0),
            ("decoder_std", INFINITY),
            ("trains_decoder_std", "no"),
            ("score", "energy"),
            ("num_samples", 0),
        ]
    },
    "VAE without deviations": (
        lambda: VAE(*vector_networks(latent_dim=3)),
        r"expected 6 outputs .* 3 latents, rec",
    ),
    "VAE of five outputs": (
        lambda: linear_vae(5)(),
        r"expected 4 outputs .* received 5",
    ),
    "an encoder that cannot be doubled": (
        lambda: gaussian_encoder(vector_networks()[0]),
        "received Sequential",
    ),
    **{
        f"VQVAE {name}": (method(VQVAE, **{name: value}), message)
        for name, value, message in [
            ("num_codes", 0, "num_codes >= 1"),
            ("restart_after", 0, "restart_after >= 1"),
            (
                "code_dim",
                3,
                r"code_dim=3 divide, received latents of shape \[4\]",
            ),
            ("commitment_weight", -1, "commitment_weight >= 0"),
        ]
    },
    "WAE weight": (
        method(WAE, mmd_weight=-0.1),
        r"mmd_weight >= 0, received -0\.1",
    ),
}
