"""Chains by the first data that a model sees, and budgets in steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import image_networks, short_sampler, vector_networks

from nae_tf import NAE, OnManifold
from nae_tf.base.step_budget import arguments_of_budget

RNG = np.random.default_rng(0)
STANDARDISED = RNG.normal(size=[80, 4])
UNIT_VECTORS = RNG.uniform(0.4, 0.6, size=[80, 4])
IMAGES = RNG.uniform(size=[20, 12, 12, 1])


@pytest.mark.parametrize(
    ("x", "bounds", "schedule"),
    [
        (IMAGES, (0.0, 1.0), "reciprocal"),
        (UNIT_VECTORS, (0.0, 1.0), "constant"),
        (STANDARDISED, None, "constant"),
        (2 * IMAGES - 1, None, "constant"),
    ],
    ids=["images", "vectors in [0, 1]", "standardised", "images in [-1, 1]"],
)
def test_a_step_takes_a_fifth_of_the_error(x, bounds, schedule):
    chain = OnManifold.for_data(x).visible_chain
    assert (chain.bounds, chain.noise_schedule) == (bounds, schedule)
    size = x[0].size
    # The energy |x - a|**2 / D has the gradient 2 (x - a) / D.
    error = 0.01 * chain.clip_limit * size
    gradient = tf.fill([1, size], 2 * error / size)
    np.testing.assert_allclose(chain.drift(gradient), -0.2 * error, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "unit"),
    [
        (IMAGES, 1.0),  # The paper's moves.
        (STANDARDISED, np.median(STANDARDISED.std(0))),
        (UNIT_VECTORS, np.median(UNIT_VECTORS.std(0))),
        (np.c_[UNIT_VECTORS, np.zeros(80)], np.median(UNIT_VECTORS.std(0))),
    ],
    ids=["images", "standardised", "vectors in [0, 1]", "constant feature"],
)
def test_moves_are_in_units_of_the_data(x, unit):
    chain = OnManifold.for_data(x).visible_chain
    assert chain.noise_std == pytest.approx(0.05 * unit, rel=5e-3)
    steepest = tf.fill([1, x[0].size], 1e9)
    np.testing.assert_allclose(chain.drift(steepest), -0.1 * unit, rtol=5e-3)


@pytest.mark.parametrize(
    ("x", "seen"),
    [
        (255 * IMAGES, "deviation of 7"),
        (1_000 * STANDARDISED, "deviation of 99"),
        (STANDARDISED / 1_000, "deviation of 0.00"),
    ],
)
def test_data_in_other_units_are_refused_in_one_line(x, seen):
    networks = image_networks() if x.ndim == 4 else vector_networks()
    model = NAE(*networks)
    model.compile("adam")
    # Before the pre-training, which would be in vain.
    for train in (model.pretrain, model.fit):
        with pytest.raises(
            ValueError, match=r"in \[0, 1\] or standardised"
        ) as e:
            train(x, verbose=0)
        assert seen in str(e.value) and "\n" not in str(e.value)
    # Rescaled data can be fitted by the same model.
    model.fit((x - x.mean(0)) / x.std(0), verbose=0)
    assert model.value_range is None


def labelled(x):
    return tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x)))).batch(8)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return STANDARDISED[8 * index : 8 * index + 8]


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (STANDARDISED, None),
        (STANDARDISED.tolist(), None),
        (labelled(STANDARDISED), None),
        (labelled(STANDARDISED).map(lambda x, y: {"x": x, "y": y}), "x"),
        (Batches(), None),
    ],
    ids=["array", "list", "labelled", "dictionaries", "PyDataset"],
)
def test_fit_chooses_chains_by_what_it_is_given(data, key):
    model = NAE(*vector_networks())
    assert model.value_range is None  # Not known yet.
    model.compile("adam")
    data = np.array(data) if isinstance(data, list) else data
    model.fit(data, key=key, verbose=0)
    chosen = model.sampler
    assert chosen.visible_chain.bounds is None
    assert chosen.visible_chain.step_size == pytest.approx(0.1 * 4)
    assert "visible_fraction_at_bound" not in model.means
    # Chosen once: later data do not change a trained model.
    model.fit(UNIT_VECTORS, verbose=0)
    assert model.sampler == chosen


def test_the_penalty_is_in_the_unit_of_the_energies():
    model = NAE(*vector_networks())
    assert model.negative_energy_penalty == 1
    model.fit(UNIT_VECTORS, steps=1, verbose=0)
    unit = np.median(UNIT_VECTORS.std(0))
    assert model.negative_energy_penalty == pytest.approx(unit**-2, rel=0.01)
    assert model.value_range == (0, 1)
    images = NAE(*image_networks())
    images.fit(IMAGES, steps=1, verbose=0)
    assert images.negative_energy_penalty == 1  # The paper's.
    given = NAE(*vector_networks(), negative_energy_penalty=0.5)
    given.fit(UNIT_VECTORS, steps=1, verbose=0)
    assert given.negative_energy_penalty == 0.5


def test_a_given_sampler_stays():
    sampler = short_sampler()
    model = NAE(*vector_networks(), sampler=sampler)
    model.fit(UNIT_VECTORS, steps=1, verbose=0)
    assert model.sampler == sampler
    assert model.negative_energy_penalty == 1


@pytest.mark.parametrize("way", ["generator", "train_on_batch"])
def test_data_that_pass_once_are_taken_for_images(way):
    def use(model, x):
        model.compile("adam")
        if way == "generator":
            model.fit(((batch,) for batch in [x]), verbose=0)
        else:
            model.train_on_batch(x)

    model = NAE(*vector_networks())
    use(model, UNIT_VECTORS)
    assert model.sampler == OnManifold.for_images()
    # They are not taken for images silently.
    with pytest.raises(Exception, match=r"expected values in \[0, 1\]"):
        use(NAE(*vector_networks()), STANDARDISED)


def test_a_saved_model_chooses_as_the_model_would(tmp_path):
    path = tmp_path / "nae.keras"
    model = NAE(*vector_networks())
    model.save(path)
    loaded = keras.saving.load_model(path)
    loaded.fit(STANDARDISED, steps=2, verbose=0)
    assert loaded.sampler == OnManifold.for_data(STANDARDISED)
    loaded.save(path)
    again = keras.saving.load_model(path)
    assert again.sampler == loaded.sampler
    assert again.negative_energy_penalty == loaded.negative_energy_penalty
    np.testing.assert_array_equal(
        again.predict_outlier_score(STANDARDISED),
        loaded.predict_outlier_score(STANDARDISED),
    )
    again.fit(STANDARDISED, steps=2, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "epochs", "steps"),
    [
        ({"steps": 20}, 10, 20),
        ({"steps": 3}, 3, 3),
        ({"steps": 25, "epochs": 10}, 10, 30),  # Rounded up.
        ({"steps": 8, "epochs": 2, "batch_size": 3}, 2, 8),
    ],
)
@pytest.mark.parametrize("num_rows", [5, 80])
def test_a_budget_is_in_steps_whatever_the_number_of_rows(
    arguments, epochs, steps, num_rows
):
    model = NAE(*vector_networks(), sampler=short_sampler())
    history = model.fit(STANDARDISED[:num_rows], verbose=0, **arguments)
    assert len(history.epoch) == epochs
    assert int(model.optimizer.iterations.numpy()) == steps
    assert int(model.num_batches.numpy()) == steps


@pytest.mark.parametrize(
    ("x", "arguments", "steps"),
    [
        # At most 100 passes over the examples, in at most ten epochs.
        (STANDARDISED[:4], {}, 7),
        (STANDARDISED[:12], {}, 18),  # 19 are 9 epochs of two.
        (STANDARDISED[:12], {"batch_size": 32}, 36),  # 38: 9 epochs of four.
        (STANDARDISED[:12], {"batch_size": 32, "epochs": 3}, 36),  # 12 each.
        (labelled(STANDARDISED[:9]), {}, 200),
        (np.tile(STANDARDISED, [5, 1]), {}, 500),
        (labelled(STANDARDISED[:9]).repeat(), {}, 500),
    ],
)
def test_the_recipe_passes_few_rows_a_hundred_times(x, arguments, steps):
    _, found, total = arguments_of_budget(
        "NAE.fit", x, "auto", NAE.budget, (), arguments
    )
    assert found["epochs"] * found["steps_per_epoch"] == total == steps


def test_fit_takes_the_steps_of_the_recipe():
    model = NAE(*vector_networks(), sampler=short_sampler())
    model.fit(STANDARDISED[:12], steps="auto", verbose=0)
    assert int(model.num_batches.numpy()) == 18
    # By then the rate has fallen to 0, however few steps there are.
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-9)


def test_steps_go_round_the_batches_of_a_dataset():
    model = NAE(*vector_networks(), sampler=short_sampler())
    model.fit(labelled(STANDARDISED), steps=24, epochs=2, verbose=0)
    assert int(model.num_batches.numpy()) == 24


def test_pretraining_trains_the_networks_and_nothing_else():
    model = NAE(*vector_networks(), sampler=short_sampler())
    before = model.predict_outlier_score(STANDARDISED).mean()
    history = model.pretrain(STANDARDISED, steps=100, verbose=0)
    assert model.predict_outlier_score(STANDARDISED).mean() < before
    assert int(model.num_batches.numpy()) == 0 and not model.compiled
    errors = history.history["reconstruction_error"]
    assert len(errors) == 10 and errors[-1] < errors[0]


def test_networks_without_an_input_are_built_by_pretraining():
    model = NAE(*vector_networks(built=False))
    model.pretrain(STANDARDISED, steps=2, verbose=0)
    assert model.sampler == OnManifold.for_data(STANDARDISED)
    model.fit(STANDARDISED, steps=2, verbose=0)
    assert model.predict_outlier_score(STANDARDISED).shape == (80,)


def test_a_second_budget_trains_as_the_first():
    model = NAE(*vector_networks(), sampler=short_sampler())
    for _ in range(2):
        before = [w.numpy() for w in model.trainable_variables]
        model.fit(STANDARDISED, steps=4, epochs=1, verbose=0)
        # The rate begins at 1e-3 again; Adam's first move is as large.
        moved = [
            np.abs(w.numpy() - old).max()
            for w, old in zip(model.trainable_variables, before, strict=True)
            if w is not model.log_temperature
        ]
        assert max(moved) > 1e-3
    # An optimizer of the user's stays.
    model.compile(keras.optimizers.SGD(0.0))
    before = model.encoder.get_weights()
    model.fit(STANDARDISED, steps=4, verbose=0)
    for old, new in zip(before, model.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_loaded_model_is_trained_by_a_budget_of_its_own(tmp_path):
    path = tmp_path / "nae.keras"
    model = NAE(*vector_networks(), sampler=short_sampler())
    for epochs in (2, 1):  # To the end of the budget, and half of it.
        model.fit(STANDARDISED, steps=4, epochs=epochs, verbose=0)
        model.save(path)
        if epochs == 2:
            # The rate is 0: there is nothing that an epoch could train.
            for spent in (model, keras.saving.load_model(path)):
                with pytest.raises(ValueError, match="a learning rate above 0"):
                    spent.fit(STANDARDISED, verbose=0)
    loaded = keras.saving.load_model(path)
    before = loaded.encoder.get_weights()
    loaded.fit(STANDARDISED, steps=6, verbose=0)
    assert int(loaded.optimizer.iterations) == 6
    for old, new in zip(before, loaded.encoder.get_weights(), strict=True):
        assert np.abs(new - old).max() > 1e-4


def test_a_budget_goes_on_after_loading(tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    keep = keras.callbacks.ModelCheckpoint(path)
    whole = NAE(*vector_networks(), sampler=short_sampler())
    whole.fit(STANDARDISED, steps=4, epochs=2, callbacks=[keep], verbose=0)
    half = keras.saving.load_model(path.format(epoch=1))
    half.fit(STANDARDISED, steps=4, epochs=2, initial_epoch=1, verbose=0)
    # Of the same budget, whose rate has fallen to 0.
    assert int(half.optimizer.iterations) == 4
    assert float(half.optimizer.learning_rate) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "an integer steps >= 1"),
        ({"steps": 2.5}, "an integer steps >= 1"),
        ({"steps": "full"}, "received 'full'; or \"auto\""),
        ({"steps": 4, "steps_per_epoch": 2}, "received both"),
    ],
)
def test_a_budget_out_of_range_is_refused(arguments, message):
    model = NAE(*vector_networks(), sampler=short_sampler())
    with pytest.raises(ValueError, match=message):
        model.fit(STANDARDISED, **arguments)
