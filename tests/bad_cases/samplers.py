"""Langevin chains, samplers and their replay buffers."""

import math

import keras
import tensorflow as tf
from tiny_models import short_sampler, vector_nae, vector_networks

from nae_tf import (
    NAE,
    Autoencoder,
    ContrastiveDivergence,
    LangevinChain,
    OnManifold,
    PersistentContrastiveDivergence,
    Sphere,
)
from nae_tf.evaluation import samples
from nae_tf.replay_buffer import ReplayBuffer

NAN, INFINITY = math.nan, math.inf
SHORT = LangevinChain(1, 0.1)
ADJUSTED = LangevinChain(1, 0.1, metropolis_hastings=True)


def chain(**settings):
    return lambda: LangevinChain(
        **({"num_steps": 1, "step_size": 1} | settings)
    )


def sampler(**settings):
    return lambda: short_sampler(**settings)


def nae(**settings):
    return NAE(*vector_networks(), **settings)


def restore_states_of_another_shape(tmp_path):
    narrow, wide = (
        tf.train.Checkpoint(buffer=ReplayBuffer(9, [units])) for units in (1, 2)
    )
    wide.restore(narrow.save(str(tmp_path / "checkpoint")))


def images_of_any_size():
    networks = [
        keras.Sequential(
            [keras.Input([None, None, 1]), keras.layers.Conv2D(1, 3)]
        )
        for _ in range(2)
    ]
    NAE(*networks, sampler=short_sampler())


CASES = {
    "latents of any size": (
        images_of_any_size,
        r"states of a fixed size, received the shape \[None, None, 1\]",
    ),
    "negative steps": (chain(num_steps=-1), "num_steps in 0"),
    "half a step": (chain(num_steps=2.5), "integer num_steps"),
    "no parts": (chain(num_parts=0), "num_parts >= 1, received 0"),
    "half a part": (chain(num_parts=2.5), "integer num_parts"),
    "step size 0": (chain(step_size=0.0), "step_size > 0, received 0.0"),
    "negative step size": (chain(step_size=-1.0), "step_size > 0"),
    "step size NaN": (chain(step_size=NAN), "step_size > 0"),
    "step size in words": (chain(step_size="0.1"), "step_size > 0, .*'0.1'"),
    "negative noise": (chain(noise_std=-0.1), "noise_std >= 0"),
    "infinite noise": (chain(noise_std=INFINITY), "noise_std >= 0"),
    "noise schedule": (chain(noise_schedule="linear"), "'constant'"),
    "gradient clip": (chain(gradient_clip="norm"), "'element'"),
    "Metropolis in words": (
        chain(metropolis_hastings="no"),
        "metropolis_hastings True or False, received 'no'",
    ),
    "clip limit 0": (
        chain(gradient_clip="element", clip_limit=0.0),
        "clip_limit > 0",
    ),
    "bounds reversed": (chain(bounds=(1.0, 0.0)), r"bounds \(low, high\)"),
    "three bounds": (chain(bounds=(0.0, 1.0, 2.0)), r"bounds \(low, high\)"),
    "boundary": (
        chain(bounds=(0.0, 1.0), boundary="wrap"),
        "'clamp' or 'reject', received 'wrap'",
    ),
    "adjusted without noise": (
        chain(metropolis_hastings=True, noise_std=0.0),
        "needs noise_std > 0",
    ),
    "adjusted and clamped": (
        chain(metropolis_hastings=True, bounds=(0.0, 1.0)),
        "boundary='reject'",
    ),
    "adjusted on the sphere": (
        lambda: ADJUSTED.run(
            tf.ones([1, 2]), tf.norm, (0, 0), project=Sphere().project
        ),
        "projection",
    ),
    "replay above 1": (sampler(replay_ratio=1.1), r"replay_ratio in \[0, 1\]"),
    "replay below 0": (sampler(replay_ratio=-0.1), r"replay_ratio in \[0, 1\]"),
    "no capacity": (
        lambda: PersistentContrastiveDivergence(
            visible_chain=SHORT, replay_capacity=0
        ),
        "replay_ratio=0 turns replay off",
    ),
    "half a capacity": (
        lambda: PersistentContrastiveDivergence(
            visible_chain=SHORT, replay_capacity=2.5
        ),
        "expected an integer replay_capacity >= 1, received 2.5",
    ),
    "generation factor 0": (
        sampler(generation_factor=0),
        "generation_factor >= 1",
    ),
    "empty buffer": (
        lambda: ReplayBuffer(0, [1]),
        "capacity in 1 .*, received 0",
    ),
    "negative buffer": (lambda: ReplayBuffer(-1, [1]), "capacity in 1 "),
    "states of another shape": (
        restore_states_of_another_shape,
        r"shape \[2\], received \[1\]",
    ),
    "no samples": (lambda: nae().sample(0), "num_samples in 1 .*, received 0"),
    "negative samples": (lambda: nae().sample(-1), "num_samples in 1 "),
    "negative samples for other examples": (
        lambda: vector_nae().negative_samples(tf.zeros([3, 5])),
        r"expected examples of shape \[batch, 4\], received \[3, 5\]",
    ),
    "samples before weights": (
        lambda: NAE(*vector_networks(built=False)).sample(3),
        "no weights yet; fit it first",
    ),
    "samples of contrastive divergence": (
        lambda: nae(sampler=ContrastiveDivergence(visible_chain=SHORT)).sample(
            3
        ),
        "starts its chains at data",
    ),
    "samples of an adjusted chain on the sphere": (
        lambda: nae(
            sampler=OnManifold(latent_chain=ADJUSTED, visible_chain=SHORT)
        ).sample(3),
        "projection",
    ),
    "samples of an autoencoder": (
        lambda: next(samples.draw_samples(Autoencoder(*vector_networks()), 5)),
        "does not generate samples",
    ),
    "a longer latent chain of a method": (
        lambda: samples.lengthen_latent_chain(
            Autoencoder(*vector_networks()), 2
        ),
        "Autoencoder has no latent chain; name a run whose model is NAE",
    ),
    "a longer latent chain where there is none": (
        lambda: samples.lengthen_latent_chain(
            vector_nae(
                sampler=PersistentContrastiveDivergence(visible_chain=SHORT)
            ),
            2,
        ),
        "no latent chain",
    ),
}
