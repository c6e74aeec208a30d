"""Trains on one device and on two logical CPUs; prints what came of it.

Run by distribution_test.py in a process of its own, because a process divides
its CPU once, before TensorFlow uses it. Double precision: what differs, differs
by design and not by rounding.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf
from tiny_models import image_networks, short_sampler

from nae_tf import NAE, ContrastiveDivergence, Euclidean, LangevinChain
from nae_tf.base.randomness import step_seed
from nae_tf.training.distribution import make_strategy
from nae_tf.training.running_means import get_means, set_means

LEARNING_RATE = 0.1
RNG = np.random.default_rng(0)
KERNELS = {shape: RNG.normal(size=shape) / 2 for shape in [(3, 2), (2, 3)]}


def linear_nae(strategy, **settings):
    """A compiled NAE of fixed weights."""
    with strategy.scope():
        model = NAE(keras.layers.Dense(2), keras.layers.Dense(3), **settings)
        model.build([None, 3])
        for network in (model.encoder, model.decoder):
            network.kernel.assign(KERNELS[tuple(network.kernel.shape)])
        model.compile(keras.optimizers.SGD(LEARNING_RATE))
    return model


def flat(weights):
    return np.concatenate([np.ravel(weight) for weight in weights]).tolist()


def without_noise(strategy, standardize=False):
    """What training gives where replicas have no noise of their own."""
    # The last batch has one example: nothing for the second replica.
    x = np.random.default_rng(1).normal(size=(17, 3))
    if standardize:
        x = 300 + 50 * x
    model = linear_nae(
        strategy,
        sampler=ContrastiveDivergence(visible_chain=LangevinChain(2, 0.1, 0.0)),
        latent_space=Euclidean(),
        encoder_l2=0.1,
        temperature_learning_rate=0.1,
    )
    if standardize:
        model.standardize(x)
    history = model.fit(x, epochs=2, batch_size=8, shuffle=False, verbose=0)
    means = model.evaluate(x, batch_size=8, verbose=0, return_dict=True)
    return {
        "weights": flat(model.weights),
        "evaluate": means["positive_energy"],
        **history.history,
    }


def convolutions(strategy):
    """The same by networks that do not take an empty batch, in parts."""
    x = np.random.default_rng(1).random((3, 12, 12, 1)).astype("float32")
    chain = LangevinChain(2, 0.1, 0.0, num_parts=2)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = NAE(
            *image_networks(),
            sampler=ContrastiveDivergence(visible_chain=chain),
            dtype="float32",
        )
        model.compile(keras.optimizers.SGD(LEARNING_RATE))
    history = model.fit(x, batch_size=2, shuffle=False, verbose=0)
    means = model.evaluate(x, batch_size=2, verbose=0, return_dict=True)
    return {
        "weights": flat(model.weights),
        "evaluate": means["positive_energy"],
        **history.history,
    }


def step_by_hand(model, x):
    """One SGD step: the mean over replicas, each with its own noise."""
    losses, gradients, latents = [], [], []
    for replica, examples in enumerate(np.split(x, 2)):
        negative = model.sampler.draw(
            model,
            tf.constant(examples),
            model.replay_buffer,
            step_seed(model.seed, 0, replica),
        )
        with tf.GradientTape() as tape:
            loss, _, _ = model.loss_terms(tf.constant(examples), negative.x)
        losses.append(float(loss))
        gradients.append(tape.gradient(loss, model.trainable_variables))
        latents.append(np.ravel(negative.z).tolist())
    weights = [
        variable - LEARNING_RATE * (first + second) / 2
        for variable, first, second in zip(
            model.trainable_variables, *gradients, strict=True
        )
    ]
    return {
        "weights": flat(weights),
        "loss": sum(losses) / 2,
        "latents": latents,
    }


def held(buffer):
    """States that each replica's ring holds."""
    rings = strategy.run(lambda: (tf.identity(buffer.states), buffer.size))
    states, sizes = map(strategy.experimental_local_results, rings)
    return [
        np.ravel(ring[:size]).tolist()
        for ring, size in zip(states, sizes, strict=True)
    ]


strategy = make_strategy(2)
one_device = tf.distribute.get_strategy()
of_convolutions = list(map(convolutions, (one_device, strategy)))
keras.config.set_dtype_policy("float64")

x = np.random.default_rng(2).normal(size=(8, 3))
two, one = (
    linear_nae(where, sampler=short_sampler())
    for where in (strategy, one_device)
)
by_hand = step_by_hand(one, x)
history = two.fit(x, batch_size=8, shuffle=False, verbose=0)
step = {
    "weights": flat(two.trainable_variables),
    "loss": history.history["loss"][0],
    "latents": held(two.replay_buffer),
}

with strategy.scope():
    means = get_means(two)
    set_means(two, {name: [[0.0, 0.0]] * 2 for name in means})
    set_means(two, means)
    means_again = get_means(two)
set_means(one, means)
means_of_one = get_means(one)

path = tf.train.Checkpoint(model=two).save(sys.argv[1])
status = tf.train.Checkpoint(model=one).restore(path)
status.assert_existing_objects_matched()
resumed = {
    "weights": flat(one.trainable_variables),
    "latents": [np.ravel(one.replay_buffer.states[:8]).tolist()],
    "step": int(one.num_batches.numpy()),
}
one.fit(x, batch_size=8, verbose=0)
resumed["size"] = int(one.replay_buffer.size)

print(
    json.dumps(
        {
            "without_noise": list(map(without_noise, (one_device, strategy))),
            "standardized": [
                without_noise(each, standardize=True)
                for each in (one_device, strategy)
            ],
            "convolutions": of_convolutions,
            "step": [by_hand, step],
            "means": [means, means_again, means_of_one],
            "resumed": resumed,
        }
    )
)
