"""One NAE with given networks, in the place of the ensemble."""

import contextlib
import random
from typing import Any

import keras
import tensorflow as tf

from nae_tf.base.pipelines import untuned
from nae_tf.nae import NAE
from nae_tf.samplers import OnManifold

# In single precision the score of a row would depend on its batch.
_DTYPE = "float64"
_IMAGE_DTYPE = "float32"
# Tracing a training step takes as long as this many steps without a graph.
_MIN_STEPS_TO_TRACE = 30
_MAX_LATENT_DIM = 32
# Examples left out are looked at so often, and so many looks without progress
# end the training.
_NUM_LOOKS = 20
_PATIENCE = 5


def make_nae(shape, networks, latent_dim, sampler, latent_space, seed) -> NAE:
    """Build an NAE for rows of a table, or for images.

    Args:
        shape: shape of an example: (features,) or (height, width, channels).
        networks: function (number of features or image shape, latent_dim) ->
            (encoder, decoder).
        latent_dim: size of the latents; None means half the number of features,
            but 2 to 32, for images 32.
        sampler: `Sampler`; None means `OnManifold.for_tables()`, for images the
            chains of `OnManifold.for_data`, chosen by the first ones.
        latent_space: `Sphere()` (None) or `Euclidean()`.
        seed: int, of initial weights and chains.
    """
    is_image = len(shape) > 1
    if latent_dim is None and is_image:
        latent_dim = _MAX_LATENT_DIM
    elif latent_dim is None:
        latent_dim = min(max((shape[0] + 1) // 2, 2), _MAX_LATENT_DIM)
    if sampler is None and not is_image:
        sampler = OnManifold.for_tables()
    with _seeded(seed):
        encoder, decoder = networks(shape if is_image else shape[0], latent_dim)
        model = NAE(
            encoder,
            decoder,
            sampler=sampler,
            latent_space=latent_space,
            seed=seed,
            dtype=_IMAGE_DTYPE if is_image else _DTYPE,
        )
        if not model.built:
            model.build((None, *shape))
    return model


def fit_phase(
    model,
    examples,
    learning_rate,
    steps,
    batch_size,
    seed,
    left_out=None,
    decays=False,
):
    """Train a model for a number of steps.

    Args:
        model: `NAE`, or its `autoencoder()`.
        examples: `Examples` to train on.
        learning_rate: learning rate of Adam, > 0.
        steps: number of steps, >= 0.
        batch_size: examples per step, > 0; all of them where there are fewer.
        seed: int, of the order of the examples.
        left_out: float [num_examples, *shape], not in `examples`; the model
            keeps the weights of the smallest loss on them, and training ends
            when a quarter of the steps has not lowered it. None trains to the
            end.
        decays: whether the learning rate falls to 0 along a cosine.
    """
    if steps == 0:
        return
    rate = learning_rate
    if decays:
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        run_eagerly=steps < _MIN_STEPS_TO_TRACE,
    )
    batches = examples.training_batches(min(batch_size, examples.size), seed)
    looks: dict[str, Any] = {}
    num_looks = 1
    if left_out is not None:
        num_looks = min(_NUM_LOOKS, steps)
        best = keras.callbacks.EarlyStopping(
            "val_loss", patience=_PATIENCE, restore_best_weights=True
        )
        validation = tf.data.Dataset.from_tensor_slices(left_out)
        looks = {
            "epochs": num_looks,
            "validation_data": untuned(validation.batch(batch_size)),
            "callbacks": [best],
        }
    model.fit(
        batches,
        steps_per_epoch=steps // num_looks,
        shuffle=False,
        verbose=0,
        **looks,
    )


@contextlib.contextmanager
def _seeded(seed: int):
    """Let Keras draw initial weights by a seed within the context.

    An initializer without a seed of its own takes one from Python's generator.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
