"""GANomaly: the losses of its two players and its score."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf import Euclidean
from nae_tf.baselines import GANomaly
from nae_tf.baselines.ganomaly import discriminator_loss
from nae_tf.metrics.detection import auroc


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def networks():
    encoder, decoder = vector_networks()
    second_encoder, _ = vector_networks()
    discriminator, _ = vector_networks(latent_dim=5)
    return encoder, decoder, second_encoder, discriminator


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def numpy_values(model, x):
    """What `objective` returns with latents on the sphere, in NumPy."""
    z = unit(model.encoder(x).numpy())
    reconstruction = model.decoder(z).numpy()
    z_again = unit(model.second_encoder(reconstruction).numpy())
    features, logits = [], []
    kernel, bias = model.logit.get_weights()
    for examples in (x, reconstruction):
        f = unit(model.discriminator(examples).numpy())
        features.append(f)
        logits.append(np.where(f > 0, f, 0.2 * f) @ kernel[:, 0] + bias)
    real, fake = (scipy.special.expit(values) for values in logits)
    return {
        "adversarial_loss": np.sum((features[0] - features[1]) ** 2, axis=1),
        "reconstruction_error": np.mean(np.abs(x - reconstruction), axis=1),
        "latent_loss": np.mean((z - z_again) ** 2, axis=1),
        "discriminator_loss": -np.mean(np.log(real))
        - np.mean(np.log(1 - fake)),
        "score": np.mean(np.abs(z - z_again), axis=1),
    }


def test_losses_and_score_are_those_of_the_paper():
    model = GANomaly(
        *networks(),
        adversarial_weight=2.0,
        contextual_weight=30.0,
        latent_weight=5.0,
    )
    x = normal(7, 4).astype(np.float32)
    expected = numpy_values(model, x)
    score = expected.pop("score")
    values = model.objective(tf.constant(x))
    for name, value in expected.items():
        np.testing.assert_allclose(
            values[name], value, rtol=1e-4, atol=1e-6, err_msg=name
        )
    loss = (
        2 * expected["adversarial_loss"]
        + 30 * expected["reconstruction_error"]
        + 5 * expected["latent_loss"]
    ).mean()
    assert float(values["loss"]) == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(model.predict_outlier_score(x), score, rtol=1e-4)


def test_a_guessing_and_a_sure_discriminator():
    zeros = tf.zeros([3])
    assert float(discriminator_loss(zeros, zeros)) == pytest.approx(
        2 * np.log(2)
    )
    # A probability of 1 - exp(-200) is 1 in any precision.
    logits = tf.constant([200.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = discriminator_loss(-logits, logits)
    assert float(loss) == pytest.approx(400)
    assert float(tape.gradient(loss, logits)[0]) == pytest.approx(2)


def gradient_step(model, x, loss, variables, rate):
    """Weights after a step of gradient descent on one loss."""
    with tf.GradientTape() as tape:
        value = model.objective(x, training=True)[loss]
    gradients = tape.gradient(value, variables)
    return [
        variable - rate * gradient
        for variable, gradient in zip(variables, gradients, strict=True)
    ]


def test_a_step_moves_each_player_down_its_own_loss():
    model = GANomaly(*networks())
    x = normal(8, 4).astype(np.float32)
    players = [
        ("loss", model.generator_variables),
        ("discriminator_loss", model.discriminator_variables),
    ]
    assert sum(len(variables) for _, variables in players) == len(
        model.trainable_variables
    )
    expected = [
        gradient_step(model, tf.constant(x), loss, variables, 0.1)
        for loss, variables in players
    ]
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(x, verbose=0)
    assert int(model.optimizer.iterations) == 1
    for (_, variables), values in zip(players, expected, strict=True):
        for variable, value in zip(variables, values, strict=True):
            np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6)


def test_the_discriminator_learns_while_the_generator_stands_still():
    model = GANomaly(
        *networks(),
        adversarial_weight=0.0,
        contextual_weight=0.0,
        latent_weight=0.0,
    )
    x = 2 * normal(64, 4)
    before = [variable.numpy() for variable in model.generator_variables]
    model.compile(keras.optimizers.Adam(1e-2))
    losses = model.fit(x, epochs=40, verbose=0).history["discriminator_loss"]
    assert losses[-1] < 0.7 * losses[0]
    for old, new in zip(before, model.generator_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_large_features_do_not_outweigh_the_other_losses():
    model = GANomaly(*networks())
    x = tf.constant(normal(8, 4).astype(np.float32))
    before = model.objective(x)["adversarial_loss"]
    last = model.discriminator.layers[-1]
    last.set_weights([1e6 * weight for weight in last.get_weights()])
    after = model.objective(x)["adversarial_loss"].numpy()
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-6)
    assert after.max() <= 4


def trained(seed, x):
    keras.utils.set_random_seed(seed)
    model = GANomaly(*networks())
    model.compile(keras.optimizers.Adam(3e-3, beta_1=0.5))
    model.fit(x, epochs=12, batch_size=32, shuffle=False, verbose=0)
    return model


def test_seeds_agree_on_what_is_an_outlier():
    # Two latents, of which examples lie on a curve, outliers on another.
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, size=512)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    x = np.concatenate([circle, 0.1 * normal(512, 2)], axis=1)
    outliers = np.concatenate([0.1 * normal(256, 2), circle[:256]], axis=1)
    models = [trained(seed, x) for seed in (0, 0, 1, 2)]
    scores = [model.predict_outlier_score(outliers) for model in models]
    np.testing.assert_array_equal(scores[0], scores[1])
    values = [
        auroc(model.predict_outlier_score(x), score)
        for model, score in zip(models, scores, strict=True)
    ]
    assert min(values) > 0.95 and np.ptp(values) < 0.03, values


def test_the_latents_keep_their_length():
    # What makes scores of two trainings comparable: no encoder can shrink the
    # distance of its latents by shrinking the latents.
    model = GANomaly(*networks())
    x = normal(9, 4).astype(np.float32)
    for z in (model.encode(x), model.encode_again(x)):
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    free = GANomaly(*networks(), latent_space=Euclidean())
    np.testing.assert_allclose(free.encode(x), free.encoder(x), rtol=1e-5)
