"""Trains every method on one device and on two logical CPUs; see
tests/baselines/replicas_test.py, which runs it in a process of its own.
"""

import json
import sys
import types

import gin
import keras
import numpy as np
import tensorflow as tf
from methods import experiment
from tiny_models import image_networks, short_sampler, vector_networks

from nae_tf import NAE, Autoencoder, langevin_chain, samplers
from nae_tf.base import randomness
from nae_tf.baselines import dae, glow, projection_diffusion, rae, vae
from nae_tf.training.distribution import make_strategy

NARROW = [
    "Experiment.precision = 'float64'",
    "latent_dim = 4",
    "MLPEncoder.hidden_units = (8,)",
    "MLPDecoder.hidden_units = (8,)",
    "Glow.num_steps = 1",
    "Glow.hidden_channels = 4",
    "PixelCNN.num_channels = 4",
    "PixelCNN.num_components = 2",
    "PixelCNN.num_scales = 1",
]
CONVOLUTIONS = [
    # What oneDNN computes.
    "Experiment.precision = 'float32'",
    "encoder = @conv_encoder()",
    "conv_encoder.latent_dim = %latent_dim",
    "IGEBM.network = @energy/conv_encoder()",
    "energy/conv_encoder.latent_dim = 1",
    # Mean and variance.
    "VAE.encoder = @gaussian/conv_encoder()",
    "gaussian/conv_encoder.latent_dim = 8",
]
SETTINGS = {
    # The variance of a single example is nothing but the jitter.
    "dagmm": ["DAGMM.dropout = 0.0", "DAGMM.covariance_jitter = 0.1"],
    # Every replica has a buffer of its own.
    "igebm": [
        "PersistentContrastiveDivergence.replay_ratio = 0.0",
        "igebm/LangevinChain.num_steps = 2",
    ],
    "mpdr": [
        "NAE.negative_energy_penalty = 'auto'",
        "latent/mpdr/LangevinChain.num_steps = 2",
        "visible/mpdr/LangevinChain.num_steps = 2",
    ],
    # Every example has dropout of its own.
    "pixelcnn": ["PixelCNN.dropout = 0.0"],
    # Codes begin in the first step, and some die in the third.
    "vqvae": ["VQVAE.num_codes = 16", "VQVAE.restart_after = 2"],
}


def equal_noise(shape, seed, dtype, *interval):
    """The same noise for every example, whichever replica has it."""
    del seed, interval
    row = randomness.normal(shape[1:], [3, 4], dtype)
    return tf.broadcast_to(row, shape)


def train(method, strategy):
    """Weights and metrics of a method after three steps."""
    bindings = NARROW + SETTINGS.get(method, [])
    # The last batch has one example: nothing for the second replica.
    x = np.random.default_rng(0).random((17, 8, 8, 1))
    with strategy.scope():
        model = experiment(method, bindings=bindings).build_model()
        model.compile(keras.optimizers.SGD(1e-2))
    history = model.fit(x, batch_size=8, shuffle=False, verbose=0)
    evaluated = model.evaluate(x, batch_size=8, verbose=0, return_dict=True)
    return {
        "weights": {
            f"{number} {weight.name}": np.ravel(weight).tolist()
            for number, weight in enumerate(model.weights)
        },
        "history": history.history,
        "evaluated": {name: [value] for name, value in evaluated.items()},
    }


@gin.register
def conv_encoder(latent_dim):
    return image_networks(8, latent_dim)[0]


def train_convolutions(method, strategy):
    """The same by layers that do not take an empty batch."""
    NARROW.extend(CONVOLUTIONS)
    try:
        return train(method, strategy)
    finally:
        del NARROW[-len(CONVOLUTIONS) :]


def types_of_an_update(strategy):
    """Types in which the decoder of a mixed VQ-VAE runs in a training step."""
    mixed = ["Experiment.precision = 'mixed_bfloat16'"]
    with strategy.scope():
        model = experiment("vqvae", bindings=NARROW[1:] + mixed).build_model()
        model.compile("sgd")
    seen = []
    for layer in model.decoder.layers:
        if isinstance(layer, keras.layers.Dense):

            def spied(*args, layer=layer, call=layer.call, **settings):
                seen.append(layer.compute_dtype)
                return call(*args, **settings)

            layer.call = spied
    model.fit(np.zeros((8, 8, 8, 1)), batch_size=8, verbose=0)
    return seen


def seeds_of_replicas(strategy):
    """Seeds of noise: in training, shared in training, in an evaluation."""
    with strategy.scope():
        model = Autoencoder(*vector_networks())
        model.compile("sgd")

    def draw():
        return tf.stack(
            [
                model.noise_seed(training=True),
                model.noise_seed(training=True, shared=True),
                model.noise_seed(training=False),
            ]
        )

    seeds = tf.function(lambda: strategy.run(draw))()
    seeds = strategy.experimental_local_results(seeds)
    return np.stack(seeds, axis=1).tolist()


def refusal(strategy):
    """What training says to networks that wait for their input."""
    with strategy.scope():
        model = NAE(*vector_networks(built=False), sampler=short_sampler())
        model.compile()
    try:
        model.fit(np.zeros((4, 4)), verbose=0)
    except ValueError as error:
        return str(error)


two_replicas = make_strategy(2)
for module in (
    *(dae, glow, projection_diffusion, rae, vae),
    *(langevin_chain, samplers),
):
    module.randomness = types.SimpleNamespace(
        **vars(randomness) | {"normal": equal_noise, "uniform": equal_noise}
    )
strategies = (tf.distribute.get_strategy(), two_replicas)
print(
    json.dumps(
        {
            method: [train(method, strategy) for strategy in strategies]
            for method in sys.argv[1:]
        }
        | {
            "convolutions": {
                method: train_convolutions(method, two_replicas)
                for method in sys.argv[1:]
            },
            "types": types_of_an_update(two_replicas),
            "seeds": seeds_of_replicas(two_replicas),
            "refusal": refusal(two_replicas),
        }
    )
)
