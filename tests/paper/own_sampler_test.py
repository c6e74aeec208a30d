"""A sampler of a user's own, which has no more than `Sampler` asks for."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import vector_nae

from nae_tf import Calibration, LangevinChain, NegativeSample, Sampler
from nae_tf.evaluation.samples import draw_samples, lengthen_latent_chain
from nae_tf.serving.signatures import can_sample, make_signatures

CHAIN = LangevinChain(2, 0.1, 0.0)
CALIBRATION = Calibration(np.linspace(0, 1, 19))


@keras.saving.register_keras_serializable(package="own_sampler_test")
@dataclasses.dataclass(frozen=True, kw_only=True)
class FromNoise(Sampler):
    """Chains that start at uniform noise in [-width, width]."""

    width: float = 1.0

    def draw(self, model, x, buffer, seed):
        assert buffer is None
        return self.generate(model, tf.shape(x)[0], seed, x.dtype)

    def generate(self, model, num_samples, seed, dtype):
        shape = [num_samples, *model.example_shape]
        x0 = tf.random.stateless_uniform(
            shape, seed, -self.width, self.width, dtype
        )
        x, diagnostics = self.run_visible_chain(model, x0, seed)
        return NegativeSample(x, x0, diagnostics)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(32, 4)).astype("float32")


@pytest.fixture
def model(x):
    model = vector_nae(sampler=FromNoise(visible_chain=CHAIN, width=0.5))
    model.history = model.fit(x, epochs=2, verbose=0).history
    return model


def test_it_trains(model):
    assert model.num_batches == 2
    assert np.all(np.isfinite(model.history["negative_energy"]))
    assert "visible_gradient_norm" in model.history
    assert "latent_gradient_norm" not in model.history


def test_it_samples(model, x):
    negative = model.sample(100)
    assert negative.x.shape == (100, 4)
    assert 0.4 < np.max(np.abs(negative.x0)) <= 0.5
    assert model.negative_samples(x).x.shape == (32, 4)
    (stages,) = draw_samples(model, 5)
    assert sorted(stages) == ["x", "x0"]


def test_it_is_saved_with_its_model(model, x, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.sampler == FromNoise(visible_chain=CHAIN, width=0.5)
    np.testing.assert_allclose(
        loaded.predict_outlier_score(x), model.predict_outlier_score(x)
    )
    np.testing.assert_allclose(loaded.sample(3).x, model.sample(3).x)


def test_its_model_is_served_with_samples(model):
    assert can_sample(model)
    assert "sample" in make_signatures(model, CALIBRATION)


def test_one_that_cannot_generate_says_so(model, x):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class FromData(FromNoise):
        generates = False

    model.sampler = FromData(visible_chain=CHAIN)
    assert not can_sample(model)
    assert "sample" not in make_signatures(model, CALIBRATION)


def test_a_latent_chain_of_its_own_is_shown():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class WithLatents(FromNoise):
        has_latent_chain = True
        latent_chain: LangevinChain = CHAIN

    model = vector_nae(sampler=WithLatents(visible_chain=CHAIN))
    assert "latent_gradient_norm" in [metric.name for metric in model.metrics]
    with pytest.raises(ValueError, match="no latent chain with a generation_f"):
        lengthen_latent_chain(model, 2)


@pytest.mark.parametrize("missing", ["draw", "generate"])
def test_one_without_a_method_of_the_contract_cannot_be_made(missing):
    methods = {"draw": FromNoise.draw, "generate": FromNoise.generate}
    del methods[missing]
    part = dataclasses.dataclass(frozen=True, kw_only=True)(
        type("Part", (Sampler,), methods)
    )
    with pytest.raises(TypeError, match=missing):
        part(visible_chain=CHAIN)


def test_what_only_resembles_a_sampler_is_refused():
    class Resembling:
        visible_chain = CHAIN

    with pytest.raises(ValueError, match="expected sampler None or a sampler"):
        vector_nae(sampler=Resembling())
