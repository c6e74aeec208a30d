"""The autoencoder as a Keras user meets it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import image_networks, tied_networks, vector_networks

from nae_tf import Autoencoder, Euclidean


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(50, 4)).astype("float32")


def numpy_mlp(network, x):
    """A network of `vector_networks` in NumPy."""
    kernel_1, bias_1, kernel_2, bias_2 = network.get_weights()
    return np.tanh(x @ kernel_1 + bias_1) @ kernel_2 + bias_2


def to_sphere(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("space", "project"), [(None, to_sphere), (Euclidean(), lambda z: z)]
)
def test_energy_is_the_error_of_decoding_the_projected_latent(
    x, space, project
):
    model = Autoencoder(*vector_networks(), latent_space=space)
    z = project(numpy_mlp(model.encoder, x))
    reconstruction = numpy_mlp(model.decoder, z)
    np.testing.assert_allclose(model.encode(x), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(x), reconstruction, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), reconstruction, rtol=1e-4, atol=1e-5
    )
    energy = np.mean((x - reconstruction) ** 2, axis=1)
    np.testing.assert_allclose(model.energy(x), energy, rtol=1e-4)
    np.testing.assert_allclose(model.outlier_score(x), energy, rtol=1e-4)


def test_loss_is_the_mean_energy_and_the_squared_weights(x):
    model = Autoencoder(*vector_networks(), encoder_l2=0.1, decoder_l2=0.02)
    model.compile(keras.optimizers.SGD(0.0))
    energy = np.mean(model.predict_outlier_score(x))
    encoder, decoder = (
        sum(np.sum(weight**2) for weight in network.get_weights())
        for network in (model.encoder, model.decoder)
    )
    expected = {
        "loss": energy + 0.1 * encoder + 0.02 * decoder,
        "reconstruction_error": energy,
    }
    # The last batch holds 2 of 50 examples.
    history = model.fit(x, batch_size=16, verbose=0, validation_data=(x,))
    results = model.evaluate(x, batch_size=16, verbose=0, return_dict=True)
    for name, value in expected.items():
        np.testing.assert_allclose(history.history[name], [value], rtol=1e-5)
        np.testing.assert_allclose(
            history.history[f"val_{name}"], [value], rtol=1e-5
        )
        np.testing.assert_allclose(results[name], value, rtol=1e-5)
    # The loss comes first, as in Keras.
    np.testing.assert_allclose(
        model.evaluate(x, verbose=0), list(expected.values()), rtol=1e-5
    )


def test_training_lowers_the_error_of_both_networks(x):
    model = Autoencoder(*vector_networks())
    model.compile(keras.optimizers.Adam(1e-2))
    before = [weight.numpy() for weight in model.trainable_weights]
    # Long epochs, because starting one costs more than its steps.
    history = model.fit(np.tile(x, [20, 1]), epochs=2, verbose=0).history
    error = history["reconstruction_error"]
    assert error[1] < 0.9 * error[0]
    for old, new in zip(before, model.trainable_weights, strict=True):
        assert np.all(old != new)


@pytest.mark.parametrize("distance", ["ssim", "absolute_error"])
def test_images_with_other_distances(distance):
    x = np.random.default_rng(0).uniform(size=(6, 12, 12, 1))
    model = Autoencoder(*image_networks(), distance=distance)
    model.compile(keras.optimizers.SGD(0.1))
    losses = model.fit(x, epochs=3, verbose=0).history["loss"]
    assert losses[2] < losses[0]
    assert model.predict_outlier_score(x).shape == (6,)


class Subclassed(keras.Model):
    """A network without `build`, as users write them."""

    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize(
    "networks",
    [
        lambda: vector_networks(built=False),
        lambda: (Subclassed(3), Subclassed(4)),
        lambda: (keras.layers.Dense(3), keras.layers.Dense(4)),
    ],
    ids=["Sequential", "subclassed", "layers"],
)
def test_networks_that_are_built_by_their_first_data(x, networks):
    model = Autoencoder(*networks())
    assert not model.built
    model.compile(keras.optimizers.Adam(1e-2))
    losses = model.fit(x, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


def test_a_scored_model_is_built_by_its_first_data(x):
    model = Autoencoder(*vector_networks(built=False))
    assert model.predict_outlier_score(x).shape == (50,)


def test_tied_weights_are_trained_once_a_step(x):
    kernel = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    encoder, decoder = tied_networks(kernel)
    model = Autoencoder(encoder, decoder, latent_space=Euclidean())
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(x, batch_size=50, verbose=0)
    variable = tf.Variable(kernel)
    with tf.GradientTape() as tape:
        reconstruction = x @ variable @ tf.transpose(variable)
        loss = tf.reduce_mean((x - reconstruction) ** 2)
    expected = kernel - 0.1 * tape.gradient(loss, variable)
    np.testing.assert_allclose(encoder.kernel, expected, rtol=1e-5)


@pytest.mark.parametrize("compiled", [True, False])
def test_saved_models_score_alike_and_train_on(x, tmp_path, compiled):
    model = Autoencoder(*vector_networks(), latent_space=Euclidean())
    if compiled:
        model.compile(keras.optimizers.Adam(1e-2), steps_per_execution=2)
        model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    if compiled:
        assert loaded.steps_per_execution == 2
        assert not loaded.run_eagerly and not loaded.jit_compile
    np.testing.assert_array_equal(
        loaded.predict_outlier_score(x), model.predict_outlier_score(x)
    )
    if compiled:
        model.fit(x, shuffle=False, verbose=0)
        loaded.fit(x, shuffle=False, verbose=0)
        np.testing.assert_allclose(
            loaded.predict_outlier_score(x),
            model.predict_outlier_score(x),
            rtol=1e-5,
        )


def test_clones_have_the_same_settings():
    model = Autoencoder(*vector_networks(), reduction="sum", encoder_l2=0.1)
    clone = keras.models.clone_model(model)
    assert clone.reduction == "sum"
    assert clone.encoder_l2 == 0.1


@pytest.mark.parametrize("frozen", ["encoder", "decoder"])
def test_a_frozen_network_stays_as_it_is(x, frozen):
    model = Autoencoder(*vector_networks(), encoder_l2=0.1, decoder_l2=0.1)
    network = getattr(model, frozen)
    network.trainable = False
    before = network.get_weights()
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, verbose=0)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_images_of_any_size():
    layer = {"padding": "same", "activation": "sigmoid"}
    networks = [
        keras.Sequential(
            [keras.Input([None, None, 1]), keras.layers.Conv2D(1, 3, **layer)]
        )
        for _ in range(2)
    ]
    model = Autoencoder(*networks, latent_space=Euclidean())
    model.compile("sgd")
    rng = np.random.default_rng(0)
    sizes = [(6, 8, 8, 1), (2, 5, 7, 1)]
    batches = [rng.uniform(size=size).astype("float32") for size in sizes]
    # As `from_generator` gives them: nothing is known before they are read.
    data = tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature=tf.TensorSpec(None)
    )
    assert np.isfinite(
        model.fit(data, shuffle=False, verbose=0).history["loss"]
    ).all()
    assert model.predict_outlier_score(data).shape == (8,)
    with_nothing = [batches[0], batches[0][:0], batches[1]]
    np.testing.assert_array_equal(
        model.predict_outlier_score(iter(with_nothing)),
        model.predict_outlier_score(data),
    )
    color = data.map(lambda x: tf.concat([x, x, x], 3))
    with pytest.raises(
        ValueError, match=r"None, None, 1\], received \[6 8 8 3"
    ):
        model.fit(color, shuffle=False, verbose=0)
