"""What Keras's own files and callbacks hold of a training: all of it."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest
from tiny_models import short_sampler, vector_networks

from nae_tf import NAE, LangevinChain, PersistentContrastiveDivergence

X = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)


def model(weight_seed=0):
    """An NAE whose encoder draws random numbers of its own in each step."""
    keras.utils.set_random_seed(weight_seed)
    encoder, decoder = vector_networks()
    encoder.add(keras.layers.Dropout(0.3))
    made = NAE(
        encoder,
        decoder,
        sampler=short_sampler(),
        temperature_learning_rate=0.1,
    )
    made.compile(keras.optimizers.Adam(1e-2))
    return made


def train(model, epochs, **arguments):
    model.fit(
        X, epochs=epochs, batch_size=8, shuffle=False, verbose=0, **arguments
    )


def state(model):
    """Every number that a later step depends on."""
    buffer = model.replay_buffer
    variables = [
        *model.variables,
        *model.optimizer.variables,
        *model.temperature_optimizer.variables,
        buffer.states,
        buffer.num_pushed,
    ]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def assert_equal_states(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def uninterrupted():
    """The state after four epochs."""
    whole = model()
    train(whole, 4)
    return state(whole)


def by_keras_file(trained, path):
    trained.save(path / "model.keras")
    return keras.saving.load_model(path / "model.keras")


def by_weights(trained, path):
    trained.save_weights(path / "model.weights.h5")
    other = model(weight_seed=1)
    other.load_weights(path / "model.weights.h5")
    return other


@pytest.mark.parametrize("copied", [by_keras_file, by_weights])
def test_a_training_goes_on_from_a_file_bit_for_bit(
    copied, tmp_path, uninterrupted
):
    half = model()
    train(half, 2)
    other = copied(half, tmp_path)
    assert_equal_states(state(other), state(half))
    train(other, 4, initial_epoch=2)
    assert_equal_states(state(other), uninterrupted)


class KilledError(Exception):
    """Stands for the end of the process."""


class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KilledError


def test_backup_and_restore_goes_on_bit_for_bit(tmp_path, uninterrupted):
    def backup():
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    with pytest.raises(KilledError):
        train(model(), 4, callbacks=[backup(), Kill()])
    again = model(weight_seed=1)
    train(again, 4, callbacks=[backup()])
    assert_equal_states(state(again), uninterrupted)


def test_a_checkpoint_of_keras_goes_on_bit_for_bit(tmp_path, uninterrupted):
    path = str(tmp_path / "{epoch}.weights.h5")
    keep = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    with pytest.raises(KilledError):
        train(model(), 4, callbacks=[keep, Kill()])
    again = model(weight_seed=1)
    again.load_weights(tmp_path / "2.weights.h5")
    train(again, 4, initial_epoch=2)
    assert_equal_states(state(again), uninterrupted)


def test_a_file_without_a_buffer_leaves_it_as_it_is(tmp_path):
    trained = model()
    train(trained, 1)
    path = tmp_path / "old.weights.h5"
    trained.save_weights(path)
    with h5py.File(path, "r+") as file:  # As older commits wrote it.
        names = list(file["vars"])
        for name in names:
            if not name.isdecimal():
                del file["vars"][name]
        assert sorted(file["vars"]) == ["0", "1"] < sorted(names)
    other = model(weight_seed=1)
    other.load_weights(path)
    assert int(other.replay_buffer.num_pushed) == 0
    np.testing.assert_array_equal(
        other.predict_outlier_score(X), trained.predict_outlier_score(X)
    )


def test_states_of_another_sampler_stay_in_the_file(tmp_path):
    trained = model()
    train(trained, 1)
    trained.save_weights(tmp_path / "latent.weights.h5")
    visible = NAE(
        *vector_networks(),
        sampler=PersistentContrastiveDivergence(
            visible_chain=LangevinChain(2, 0.1), replay_capacity=8
        ),
        temperature_learning_rate=0.1,
    )
    with pytest.warns(UserWarning, match=r"shape \[3\], those .* \[4\]; the"):
        visible.load_weights(tmp_path / "latent.weights.h5")
    assert int(visible.replay_buffer.num_pushed) == 0


def test_a_smaller_buffer_takes_the_newest_states(tmp_path):
    trained = model()
    train(trained, 1)
    trained.save_weights(tmp_path / "model.weights.h5")
    small = NAE(
        *vector_networks(),
        sampler=dataclasses.replace(short_sampler(), replay_capacity=5),
        temperature_learning_rate=0.1,
    )
    small.load_weights(tmp_path / "model.weights.h5")
    # 24 examples were pushed, in order, into a ring of 64.
    np.testing.assert_array_equal(
        small.replay_buffer.states, trained.replay_buffer.states[19:24]
    )
