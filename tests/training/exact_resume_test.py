"""A fit that is killed and goes on, of detectors and of other models."""

import keras
import numpy as np
import pytest
from tiny_models import short_sampler, vector_nae

from nae_tf import LangevinChain
from nae_tf.baselines import MixtureOfSamplers, ProjectionDiffusion
from nae_tf.training import ExactResume

X = np.random.default_rng(0).normal(size=(22, 4)).astype(np.float32)


class KilledError(Exception):
    """Stands for the end of the process."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.place, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            raise KilledError


def nae(weight_seed=0):
    return vector_nae(weight_seed, temperature_learning_rate=0.1), X


def mixture(weight_seed=0):
    """Half of a batch from a buffer, half from a frozen manifold."""
    chain = LangevinChain(2, 0.1, 0.05)
    near = ProjectionDiffusion(latent_chain=chain, visible_chain=chain)
    sampler = MixtureOfSamplers(samplers=(short_sampler(), near))
    settings = {"temperature_learning_rate": 0.1, "sampler": sampler}
    return vector_nae(weight_seed, **settings), X


def other_model(weight_seed=0):
    keras.utils.set_random_seed(weight_seed)
    model = keras.Sequential(
        [
            keras.Input([4]),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dropout(0.5, seed=3),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(4),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), "mse")
    return model, (X, X)


def train(made, directory, *callbacks):
    model, data = made
    resume = ExactResume(directory)
    return model.fit(
        resume.batches(data, batch_size=8, seed=5),
        epochs=4,
        callbacks=[resume, *callbacks],
        verbose=0,
    )


def numbers(model):
    buffer = getattr(model, "replay_buffer", None)
    variables = [*model.variables, *model.optimizer.variables]
    if buffer is not None:
        variables += [buffer.states, buffer.num_pushed]
        variables += model.temperature_optimizer.variables
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


@pytest.mark.parametrize("make", [nae, mixture, other_model])
def test_a_killed_fit_goes_on_bit_for_bit(make, tmp_path):
    whole = make()
    history = train(whole, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(make(), tmp_path / "killed", KillAt(2, batch=1))
    again = make(weight_seed=1)
    rest = train(again, tmp_path / "killed")
    assert rest.epoch == [2, 3]
    assert rest.history["loss"] == history.history["loss"][2:]
    for one, other in zip(numbers(again[0]), numbers(whole[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def epochs(resume, count, **settings):
    batches = resume.batches(np.arange(22.0), **settings)
    seen = []
    for epoch in range(count):
        resume.on_epoch_begin(epoch)
        seen.append([batch.tolist() for batch in batches.as_numpy_iterator()])
    return seen


def test_every_epoch_has_an_order_of_its_own(tmp_path):
    first, second = epochs(ExactResume(tmp_path), 2, batch_size=8)
    assert [len(batch) for batch in first] == [8, 8, 6]
    for order in (first, second):
        assert sorted(np.concatenate(order)) == list(range(22))
    assert first != second
    # By seed and epoch, and by nothing else.
    keras.utils.set_random_seed(1)
    assert epochs(ExactResume(tmp_path), 2, batch_size=8) == [first, second]
    assert epochs(ExactResume(tmp_path), 1, batch_size=8, seed=1) != [first]


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    train(other_model(), tmp_path)
    with pytest.raises(ValueError, match="does not fit the model") as caught:
        train(nae(), tmp_path)
    assert "\n" not in str(caught.value)
