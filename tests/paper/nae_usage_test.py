"""The Normalized Autoencoder as a Keras user meets it."""

import inspect

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import (
    image_networks,
    short_sampler,
    spy_on_modes,
    vector_nae,
    vector_networks,
)

from nae_tf import (
    NAE,
    Euclidean,
    LangevinChain,
    OnManifold,
    PersistentContrastiveDivergence,
)
from nae_tf.base.randomness import step_seed


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(50, 4)).astype("float32")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(10, 12, 12, 1))


@pytest.fixture(scope="module")
def trained(x):
    """A model after two epochs."""
    model = vector_nae()
    model.fit(x, epochs=2, verbose=0)
    return model


# --- Networks and types -------------------------------------------------------


def test_networks_that_are_built_by_their_first_data(x, tmp_path):
    model = NAE(*vector_networks(built=False), sampler=short_sampler())
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict_outlier_score(x), model.predict_outlier_score(x)
    )


@pytest.mark.parametrize(
    ("policy", "distance", "energy_dtype"),
    [
        ("mixed_bfloat16", "absolute_error", "float32"),
        ("mixed_float16", "squared_error", "float32"),
        ("float64", "ssim", "float64"),
    ],
)
def test_policies_and_distances_on_images(
    images, policy, distance, energy_dtype
):
    default = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    networks = image_networks()
    model = NAE(
        *networks,
        sampler=short_sampler((0.0, 1.0)),
        distance=distance,
        encoder_l2=1e-4,
    )
    model.compile(keras.optimizers.Adam(1e-3))
    losses = model.fit(images, epochs=1, verbose=0).history["loss"]
    keras.config.set_dtype_policy(default)
    assert networks[0].layers[0].compute_dtype == policy.removeprefix("mixed_")
    scores = model.predict_outlier_score(images)
    assert scores.dtype == energy_dtype
    assert np.all(np.isfinite(scores)) and np.all(np.isfinite(losses))
    # Latents are projected in the type of the chains, not of the networks.
    x = tf.constant(images, energy_dtype)
    assert model.encode(x).dtype == model(x).dtype == energy_dtype
    negative = model.sample(3)
    assert negative.x.dtype == negative.z.dtype == energy_dtype


def test_double_precision_model_of_single_precision_networks(x):
    model = NAE(
        *vector_networks(),
        sampler=short_sampler(),
        encoder_l2=1e-4,
        dtype="float64",
    )
    loss, positive_energy, _ = model.loss_terms(
        tf.constant(x, tf.float64), tf.constant(x, tf.float64)
    )
    assert loss.dtype == positive_energy.dtype == tf.float64


def test_only_the_loss_runs_networks_in_training_mode(x):
    model = vector_nae()
    # Step by step, because a graph may be traced more than once.
    model.compile("sgd", run_eagerly=True)
    modes = spy_on_modes(model)
    model.fit(x, batch_size=50, verbose=0)
    assert modes.keys() == {model.encoder, model.decoder}
    for *of_chains, of_loss in modes.values():
        assert of_loss and of_chains and not any(of_chains)
    for use in (
        lambda: model.evaluate(x, verbose=0),
        lambda: model.predict_outlier_score(x),
        lambda: model.sample(2),
        lambda: model(x),
    ):
        for seen in modes.values():
            seen.clear()
        use()
        for seen in modes.values():
            assert seen and not any(seen)


def test_paper_settings_are_the_default():
    sampler = NAE(*image_networks()).sampler
    # Table 11, MNIST column, and section D.3.
    assert sampler.latent_chain == LangevinChain(10, 0.2, 0.05)
    assert sampler.visible_chain == LangevinChain(
        50,
        10.0,
        0.05,
        noise_schedule="reciprocal",
        gradient_clip="element",
        clip_limit=0.01,
        bounds=(0.0, 1.0),
    )
    assert sampler.replay_ratio == 0.95
    assert sampler.replay_capacity == 10_000
    assert sampler.generation_factor == 8
    chain = LangevinChain(1, 10.0, gradient_clip="element")
    assert chain.clip_limit == 0.01
    persistent = PersistentContrastiveDivergence(visible_chain=chain)
    assert persistent.replay_ratio == 0.95
    assert persistent.replay_capacity == 10_000


def test_pretraining_trains_the_same_networks(x):
    model = vector_nae(distance="absolute_error", reduction="sum")
    autoencoder = model.autoencoder()
    np.testing.assert_array_equal(autoencoder.energy(x), model.energy(x))
    before = model.predict_outlier_score(x)
    autoencoder.compile(keras.optimizers.Adam(1e-2))
    autoencoder.fit(x, epochs=3, verbose=0)
    after = model.predict_outlier_score(x)
    assert after.mean() < before.mean()
    np.testing.assert_array_equal(after, autoencoder.predict_outlier_score(x))


def test_pretraining_has_the_settings_of_the_model():
    settings = {
        "latent_space": Euclidean(),
        "distance": "absolute_error",
        "reduction": "sum",
        "encoder_l2": 0.1,
        "decoder_l2": 0.2,
        "dtype": "float64",
    }
    autoencoder = vector_nae(**settings).autoencoder()
    assert autoencoder.dtype == settings.pop("dtype")
    received = {name: getattr(autoencoder, name) for name in settings}
    assert received == settings


def test_summary_counts_the_weights_of_both_networks(trained, capsys):
    trained.summary()
    # (4 * 8 + 8) + (8 * 3 + 3) + (3 * 8 + 8) + (8 * 4 + 4)
    assert "Trainable params: 135 " in capsys.readouterr().out


# --- Samples ------------------------------------------------------------------


def test_samples_repeat_with_the_seed(trained):
    first, again, other = (trained.sample(6, seed) for seed in (3, 3, 4))
    assert first.x.shape == [6, 4]
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.any(np.equal(first.x, other.x))
    np.testing.assert_allclose(np.linalg.norm(first.z, axis=1), 1, rtol=1e-5)


def test_samples_share_no_noise_with_training(trained):
    starts = trained.sample(5, seed=0).z0
    for step in range(6):
        seed = step_seed(0, step)
        training = trained.sampler.draw(trained, tf.zeros([5, 4]), None, seed)
        assert not np.any(np.equal(starts, training.z0))


def test_samples_of_images_stay_in_the_box():
    model = NAE(*image_networks(), sampler=short_sampler((0.0, 1.0)))
    x = model.sample(3).x.numpy()
    assert x.shape == (3, 12, 12, 1)
    assert x.min() >= 0 and x.max() <= 1


def test_persistent_contrastive_divergence_trains_and_samples(x):
    sampler = PersistentContrastiveDivergence(
        visible_chain=LangevinChain(2, 0.1), replay_capacity=20
    )
    model = vector_nae(sampler=sampler)
    model.fit(x, verbose=0)
    assert model.replay_buffer.states.shape == [20, 4]
    assert model.replay_buffer.size == 20
    assert model.sample(3).x.shape == [3, 4]


def unmoved_sampler(**settings):
    """Samples stay where their chains start."""
    still = LangevinChain(0, 0.1)
    return OnManifold(
        latent_chain=still, visible_chain=still, replay_capacity=8, **settings
    )


def test_negative_samples_start_from_the_replay_buffer(x):
    model = vector_nae(sampler=unmoved_sampler(replay_ratio=1.0))
    states = np.eye(3, dtype="float32")
    model.replay_buffer.push(states)
    starts = model.negative_samples(x).z.numpy()
    # Each of 50 draws is one of the states, and each state is drawn.
    np.testing.assert_array_equal(np.unique(starts, axis=0), states[::-1])
    assert model.replay_buffer.num_pushed == 3


def test_compile_lets_samples_follow_a_changed_sampler(x):
    model = vector_nae()
    for draw in (lambda: model.sample(3), lambda: model.negative_samples(x)):
        model.sampler = short_sampler()
        model.compile()
        negative = draw()
        assert np.any(np.not_equal(negative.x, negative.x0))
        model.sampler = unmoved_sampler()
        model.compile()
        negative = draw()
        np.testing.assert_array_equal(negative.x, negative.x0)


# --- Saving -------------------------------------------------------------------


def test_a_loaded_model_scores_alike_and_trains_on(trained, x, tmp_path):
    trained.save(tmp_path / "trained.keras")
    gin.parse_config("NAE.temperature = 9.0")
    try:
        loaded = keras.saving.load_model(tmp_path / "trained.keras")
    finally:
        gin.clear_config()
    assert loaded.temperature == 1
    assert loaded.sampler == trained.sampler
    np.testing.assert_array_equal(
        loaded.predict_outlier_score(x), trained.predict_outlier_score(x)
    )
    for a, b in zip(
        loaded.optimizer.variables, trained.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    steps = int(loaded.optimizer.iterations.numpy())
    assert steps == 4
    loaded.fit(x, verbose=0)
    assert loaded.optimizer.iterations == steps + 2


def test_a_saved_model_leaves_the_replay_buffer_out(trained, x, tmp_path):
    # What was used before, and holds the buffer, is no part of it either.
    trained.negative_samples(x)
    trained.sample(2)
    tf.saved_model.save(trained, str(tmp_path))
    names = tf.train.list_variables(str(tmp_path / "variables" / "variables"))
    assert len(names) >= len(trained.weights)
    assert not [name for name, _ in names if "replay" in name]


def test_the_config_holds_every_argument():
    settings = {
        "distance": "absolute_error",
        "reduction": "sum",
        "negative_energy_penalty": 0.5,
        "encoder_l2": 0.1,
        "decoder_l2": 0.2,
        "latent_l2": 0.3,
        "temperature": 0.4,
        "temperature_learning_rate": 0.6,
        "seed": 7,
        "name": "detector",
        "sampler": short_sampler(),
        "latent_space": Euclidean(),
    }
    model = NAE(*vector_networks(), **settings)
    rebuilt = NAE.from_config(model.get_config())
    assert rebuilt.sampler == settings.pop("sampler")
    assert rebuilt.latent_space == settings.pop("latent_space")
    config = rebuilt.get_config()
    assert set(config) == {*inspect.signature(NAE).parameters, "trainable"}
    assert {name: config[name] for name in settings} == settings


def test_a_model_that_was_never_compiled_can_be_saved(x, tmp_path):
    model = NAE(*vector_networks(), sampler=short_sampler(), temperature=0.3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_density(x), model.log_density(x))


def test_a_trained_temperature_and_its_optimizer_are_saved(x, tmp_path):
    model = vector_nae(temperature_learning_rate=0.1)
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.temperature == model.temperature != 1
    for a, b in zip(
        loaded.temperature_optimizer.variables,
        model.temperature_optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_callbacks(x, tmp_path):
    model = vector_nae()
    path = tmp_path / "best.keras"
    best = {"monitor": "val_positive_energy", "mode": "min"}
    callbacks = [
        keras.callbacks.ModelCheckpoint(path, save_best_only=True, **best),
        keras.callbacks.EarlyStopping(
            patience=0, min_delta=100.0, restore_best_weights=True, **best
        ),
    ]
    history = model.fit(
        x, epochs=9, verbose=0, validation_data=(x,), callbacks=callbacks
    ).history
    energies = history["val_positive_energy"]
    assert len(energies) < 9
    saved = keras.saving.load_model(path)
    np.testing.assert_allclose(
        np.mean(saved.predict_outlier_score(x)), min(energies), rtol=1e-5
    )


class CountsCalls(keras.layers.Layer):
    """A layer with a state that changes at every call, as noise has."""

    def build(self, input_shape):
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False
        )

    def call(self, x):
        self.calls.assign_add(1.0)
        return x


def test_layers_with_a_state_train_inside_of_chains():
    encoder, decoder = vector_networks()
    counter = CountsCalls()
    encoder = keras.Sequential([*encoder.layers, counter])
    model = NAE(encoder, decoder, sampler=short_sampler())
    model.compile("sgd")
    model.fit(np.zeros((8, 4), np.float32), batch_size=4, verbose=0)
    # More than once a step: chains call the encoder too.
    assert counter.calls > 4
