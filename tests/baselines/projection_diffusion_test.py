"""ProjectionDiffusion against NumPy, and as a sampler of NAE."""

import dataclasses

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from nae_tf import NAE, LangevinChain
from nae_tf.baselines import ProjectionDiffusion

NUM_FEATURES, LATENT_DIM = 6, 4
SIGMA, TEMPERATURE, WEIGHT = 0.2, 2.0, 0.05
LATENT = LangevinChain(3, 0.1, 0.0, gradient_clip="fixed_norm", clip_limit=1.0)
VISIBLE = LangevinChain(4, 0.3, 0.0, bounds=(0.0, 1.0))
SAMPLER = ProjectionDiffusion(
    latent_chain=LATENT,
    visible_chain=VISIBLE,
    noise_range=(SIGMA, SIGMA),
    recovery_weight=WEIGHT,
)


def linear_model(sampler=SAMPLER, units=(NUM_FEATURES, LATENT_DIM), **settings):
    keras.utils.set_random_seed(0)
    networks = [
        keras.Sequential(
            [
                keras.Input((inputs,), dtype="float64"),
                keras.layers.Dense(outputs, use_bias=False, dtype="float64"),
            ]
        )
        for inputs, outputs in (units, units[::-1])
    ]
    return NAE(*networks, sampler=sampler, dtype="float64", **settings)


def data(rows=5, columns=NUM_FEATURES):
    return np.random.default_rng(1).uniform(size=(rows, columns))


def numerical_gradient(function, x, step=1e-6):
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape[1:]):
        shift = np.zeros_like(x)
        shift[:, index] = step
        difference = function(x + shift) - function(x - shift)
        gradient[:, index] = difference[:, None] / (2 * step)
    return gradient


def normalised(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.mark.parametrize("weight", [0.0, WEIGHT])
def test_a_trajectory_is_that_of_the_paper(weight):
    sampler = dataclasses.replace(SAMPLER, recovery_weight=weight)
    model = linear_model(sampler, temperature=TEMPERATURE)
    to_latent, to_data = (
        network.get_weights()[0] for network in (model.encoder, model.decoder)
    )
    negative = model.negative_samples(data())
    z_start = negative.z0.numpy()

    def potential(x):
        z = normalised(x @ to_latent)
        energy = np.mean((x - z @ to_data) ** 2, 1) / TEMPERATURE
        distance = np.sum((z - z_start) ** 2, 1)
        return energy + weight * distance / (2 * SIGMA**2)

    z = z_start
    for _ in range(LATENT.num_steps):
        gradient = numerical_gradient(lambda z: potential(z @ to_data), z)
        tangent = gradient - z * np.sum(gradient * z, 1, keepdims=True)
        z = normalised(z - 0.1 * normalised(tangent))
    np.testing.assert_allclose(negative.z, z, atol=1e-6)
    x = np.clip(z @ to_data, 0, 1)
    np.testing.assert_allclose(negative.x0, x, atol=1e-6)
    for _ in range(VISIBLE.num_steps):
        x = np.clip(x - 0.3 * numerical_gradient(potential, x), 0, 1)
    np.testing.assert_allclose(negative.x, x, atol=1e-6)


def test_noise_turns_latents_by_the_angles_that_it_should():
    low, high, units = 0.05, 0.3, (12, 8)
    still = LangevinChain(0, 1.0)
    sampler = ProjectionDiffusion(
        latent_chain=still, visible_chain=still, noise_range=(low, high)
    )
    model = linear_model(sampler, units)
    x = data(2_000, units[0])
    z = normalised(x @ model.encoder.get_weights()[0])
    found = np.sum(z * model.negative_samples(x).z0, 1)
    rng = np.random.default_rng(2)
    sigma = rng.uniform(low, high, (20_000, 1))
    turned = sigma * rng.normal(size=(20_000, 8)) + np.eye(8)[0]
    assert scipy.stats.ks_2samp(found, normalised(turned)[:, 0]).pvalue > 1e-3


def test_a_move_without_noise_has_an_angle_of_its_own():
    one_step = dataclasses.replace(LATENT, num_steps=1, step_size=0.25)
    sampler = dataclasses.replace(SAMPLER, latent_chain=one_step)
    negative = linear_model(sampler).negative_samples(data())
    cosine = np.sum(negative.z0.numpy() * negative.z.numpy(), 1)
    np.testing.assert_allclose(np.arccos(cosine), np.arctan(0.25), rtol=1e-9)


def test_it_trains_and_its_file_draws_the_same(tmp_path):
    model = linear_model(ProjectionDiffusion.for_images())
    model.compile(keras.optimizers.Adam(1e-3))
    before = model.encoder.get_weights()[0].copy()
    history = model.fit(data(32), epochs=2, verbose=0).history
    assert np.isfinite(history["latent_gradient_norm"]).all()
    assert np.any(model.encoder.get_weights()[0] != before)
    assert model.replay_buffer is None
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.sampler == model.sampler
    drawn, expected = (m.negative_samples(data()) for m in (again, model))
    tf.nest.map_structure(np.testing.assert_array_equal, drawn, expected)
    np.testing.assert_allclose(np.linalg.norm(drawn.z, axis=1), 1.0, rtol=1e-12)


def test_it_does_not_generate_from_nothing():
    with pytest.raises(ValueError, match="cannot generate samples from noth"):
        linear_model().sample(3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_range": (0.3, 0.1)}, r"noise_range \(low, high\), received"),
        ({"noise_range": (0.3,)}, r"noise_range \(low, high\), received"),
        ({"noise_range": (0.0, 0.3)}, r"noise_range > 0, received 0"),
        ({"recovery_weight": -1.0}, "recovery_weight >= 0, received"),
        (
            {"visible_chain": LangevinChain(1, 1.0, num_parts=2)},
            "needs chains of num_parts=1",
        ),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        dataclasses.replace(SAMPLER, **settings)
    assert "\n" not in str(caught.value)


def weights_of(manifold):
    return [np.copy(weight) for weight in manifold.get_weights()]


@pytest.fixture(scope="module")
def trained():
    """A model, its networks before the training, its manifold after it."""
    model = linear_model(ProjectionDiffusion.for_images())
    pretraining = model.autoencoder()
    pretraining.compile(keras.optimizers.Adam(1e-2))
    pretraining.fit(data(32), epochs=2, verbose=0)
    before = [*model.encoder.get_weights(), *model.decoder.get_weights()]
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(data(32), epochs=2, verbose=0)
    return model, before


def test_the_manifold_is_that_of_the_pretraining(trained):
    model, before = trained
    assert np.any(model.encoder.get_weights()[0] != before[0])
    for weight, expected in zip(
        weights_of(model.manifold), before, strict=True
    ):
        np.testing.assert_array_equal(weight, expected)
    names = [id(v) for v in model.trainable_variables]
    assert not {id(v) for v in model.manifold.variables} & set(names)


def test_unfreezing_the_model_does_not_train_the_manifold(trained):
    model, before = trained
    for flag in (False, True):
        model.trainable = flag
    assert len(model.trainable_variables) == len(before)
    model.compile(keras.optimizers.Adam(1e-2))
    model.train_on_batch(data(32))
    np.testing.assert_array_equal(weights_of(model.manifold)[0], before[0])


def test_files_and_checkpoints_hold_the_manifold(trained, tmp_path):
    model, _ = trained
    expected = weights_of(model.manifold)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    loaded = keras.models.load_model(tmp_path / "model.keras")
    by_weights, restored = (
        linear_model(ProjectionDiffusion.for_images()) for _ in range(2)
    )
    by_weights.load_weights(tmp_path / "model.weights.h5")
    checkpoint = tf.train.Checkpoint(model=restored)
    checkpoint.read(
        str(tmp_path / "checkpoint")
    ).assert_existing_objects_matched()
    for again in (loaded, by_weights, restored):
        again.compile(keras.optimizers.Adam(1e-2))
        again.fit(data(32), epochs=1, verbose=0)
        for weight, value in zip(
            weights_of(again.manifold), expected, strict=True
        ):
            np.testing.assert_array_equal(weight, value)


def test_an_export_has_no_manifold(trained, tmp_path):
    model, _ = trained
    tf.saved_model.save(model, str(tmp_path))
    variables = tf.train.list_variables(str(tmp_path / "variables/variables"))
    names = [name for name, _ in variables]
    assert names and not [name for name in names if "manifold" in name]


def test_chains_start_at_the_frozen_manifold(trained):
    model, before = trained
    x = data()
    still = LangevinChain(0, 1.0)
    model.sampler = ProjectionDiffusion(
        latent_chain=still, visible_chain=still, noise_range=(0.0, 0.0)
    )
    negative = model.sampler.draw(model, tf.constant(x), None, (0, 0))
    expected = normalised(x @ before[0]) @ before[1]
    np.testing.assert_allclose(negative.x, expected, rtol=1e-9)
    live = dataclasses.replace(model.sampler, manifold="live")
    np.testing.assert_allclose(
        live.draw(model, tf.constant(x), None, (0, 0)).x,
        model(x),
        rtol=1e-9,
    )


def test_a_network_that_cannot_be_copied_is_named():
    class Unknown(keras.layers.Layer):
        def __init__(self, dense):
            super().__init__(dtype="float64", name="mine")
            self.dense = dense

        def call(self, x):
            return self.dense(x)

        def compute_output_shape(self, shape):
            return (*shape[:-1], self.dense.units)

    networks = [
        Unknown(keras.layers.Dense(units, dtype="float64"))
        for units in (LATENT_DIM, NUM_FEATURES)
    ]
    model = NAE(*networks, sampler=SAMPLER, dtype="float64")
    with pytest.raises(ValueError, match="copy of the network 'mine', which"):
        model.build((None, NUM_FEATURES))
