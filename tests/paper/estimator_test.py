"""NAEDetector, as scikit-learn and its users treat it."""

import os
import pickle
import random
import select
import signal
import warnings

import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from nae_tf import NAE, Euclidean, LangevinChain, NAEDetector, OnManifold
from nae_tf.data import ArrayExamples

SHORT = OnManifold(
    latent_chain=LangevinChain(1, 0.2, 0.05),
    visible_chain=LangevinChain(1, 0.1, 0.05),
)


def tiny(**settings):
    settings = {
        "networks": "MLP",
        "sampler": SHORT,
        "pretraining_steps": 1,
        "steps": 1,
        "random_state": 0,
    } | settings
    return NAEDetector(**settings)


def curve(count, seed):
    """Points near a curve in 4-D whose features differ in scale."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, count)
    points = np.stack(
        [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1
    )
    noise = 0.02 * generator.normal(size=points.shape)
    return (points + noise) * [1e-3, 1.0, 10.0, 1e4] + [0.0, 5.0, -3.0, 1e5]


def linear_networks(num_features, latent_dim):
    encoder = keras.Sequential(
        [keras.Input([num_features]), keras.layers.Dense(latent_dim)]
    )
    decoder = keras.Sequential(
        [keras.Input([latent_dim]), keras.layers.Dense(num_features)]
    )
    return encoder, decoder


@pytest.fixture(scope="module")
def fitted():
    return tiny(contamination=0.2).fit(curve(100, 0))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "detector",
    [
        NAEDetector(pretraining_steps=20, steps=20, random_state=0),
        NAEDetector(
            pretraining_steps=5, steps=5, missing_values="mask", random_state=0
        ),
        pytest.param(tiny(), marks=pytest.mark.slow),
    ],
    ids=["ensemble", "mask", "networks"],
)
def test_it_is_a_scikit_learn_estimator(detector):
    results = check_estimator(detector, on_fail=None)
    failed = [
        f"{result['check_name']}: {result['exception']}"
        for result in results
        # Checks of packages that are not installed skip themselves.
        if result["status"] not in ("passed", "skipped")
    ]
    assert not failed
    assert len(results) > 40


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "networks": "FCRes2",
            "latent_dim": 3,
            "pretraining_steps": 120,
            "steps": 40,
        },
    ],
)
def test_outliers_off_the_curve_get_low_scores(settings):
    detector = NAEDetector(**settings, random_state=0).fit(curve(500, 0))
    inliers = curve(200, 1)
    # Every feature alone has the distribution of an inlier's.
    generator = np.random.default_rng(2)
    outliers = np.stack([generator.permutation(f) for f in inliers.T], 1)
    scores = detector.score_samples(np.concatenate([inliers, outliers]))
    is_inlier = np.repeat([1, 0], 200)
    assert roc_auc_score(is_inlier, scores) > 0.9


def test_scores_are_the_negative_energy_of_standardised_features(fitted):
    x, train = curve(7, 3), curve(100, 0)
    standardised = (x - train.mean(0)) / train.std(0)
    reconstruction = fitted.model_(standardised).numpy()
    np.testing.assert_allclose(
        fitted.score_samples(x),
        -np.mean((standardised - reconstruction) ** 2, axis=1),
        rtol=1e-10,
    )


def test_fitting_is_the_two_phases_with_every_setting():
    def networks(num_features, latent_dim):
        initializer = keras.initializers.GlorotUniform(1)
        settings = {"kernel_initializer": initializer, "dtype": "float64"}
        return [
            keras.Sequential(
                [keras.Input([inputs]), keras.layers.Dense(outputs, **settings)]
            )
            for inputs, outputs in [
                (num_features, latent_dim),
                (latent_dim, num_features),
            ]
        ]

    x = curve(40, 0)
    detector = tiny(
        networks=networks,
        latent_dim=3,
        latent_space=Euclidean(),
        pretraining_steps=6,
        steps=9,
        batch_size=16,
        pretraining_learning_rate=3e-2,
        learning_rate=2e-3,
        random_state=5,
    ).fit(x)

    seed = int(np.random.RandomState(5).randint(2**31 - 1))
    model = NAE(
        *networks(4, 3),
        sampler=SHORT,
        latent_space=Euclidean(),
        seed=seed,
        dtype="float64",
    )
    standardised = (x - x.mean(0)) / x.std(0)
    examples = ArrayExamples("x", 40, (4,), None, lambda: standardised)
    for phase, rate, steps, order in [
        (model.autoencoder(), 3e-2, 6, seed),
        (model, 2e-3, 9, seed + 1),
    ]:
        phase.compile(keras.optimizers.Adam(rate), run_eagerly=True)
        batches = examples.training_batches(16, order)
        phase.fit(batches, steps_per_epoch=steps, verbose=0)
    assert detector.model_.num_batches == 3 * 3
    for fitted, by_hand in zip(
        detector.model_.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(fitted, by_hand, rtol=1e-9)


def recording_networks(seen):
    """Networks that add to `seen` what they are trained on, step by step."""

    class Recording(keras.layers.Layer):
        def call(self, x, training=False):
            if training:
                seen.append(x.numpy())
            return x

    def networks(num_features, latent_dim):
        encoder, decoder = linear_networks(num_features, latent_dim)
        return keras.Sequential([Recording(), encoder]), decoder

    return networks


def examples_of_training(num_examples, batch_size, steps):
    """Numbers of the examples that the autoencoder is trained on, by step."""
    seen = []
    x = np.stack([np.arange(num_examples), np.zeros(num_examples)], 1)
    tiny(
        networks=recording_networks(seen),
        batch_size=batch_size,
        pretraining_steps=steps,
        steps=0,
    ).fit(x)
    mean, deviation = x[:, 0].mean(), x[:, 0].std()
    return [
        np.rint(batch[:, 0] * deviation + mean).astype(int) for batch in seen
    ]


def test_all_examples_come_before_one_comes_again_in_another_order():
    batches = examples_of_training(10, 4, steps=6)
    assert list(map(len, batches)) == [4] * 6
    stream = np.concatenate(batches)
    first, second = stream[:10], stream[10:20]
    np.testing.assert_array_equal(np.sort(first), np.arange(10))
    np.testing.assert_array_equal(np.sort(second), np.arange(10))
    assert not np.array_equal(first, second)


def test_a_batch_is_never_larger_than_the_data():
    batches = examples_of_training(10, 128, steps=3)
    assert len(batches) == 3
    for batch in batches:
        np.testing.assert_array_equal(np.sort(batch), np.arange(10))


def test_an_integer_random_state_is_all_that_decides():
    x = curve(40, 0)
    scores = []
    for seed in (1, 2):
        tf.random.set_seed(seed)
        scores.append(tiny(random_state=0).fit(x).score_samples(x))
    np.testing.assert_array_equal(*scores)


def test_as_many_training_examples_as_asked_are_outliers(fitted):
    assert np.sum(fitted.predict(curve(100, 0)) == -1) == 20


def test_predictions_are_the_sign_of_the_decision_function(fitted):
    x = curve(50, 4) * np.linspace(0.9, 1.1, 50)[:, None]
    decisions = fitted.decision_function(x)
    np.testing.assert_allclose(
        decisions, fitted.score_samples(x) - fitted.offset_
    )
    predictions = fitted.predict(x)
    assert set(predictions) == {-1, 1}
    np.testing.assert_array_equal(predictions == -1, decisions < 0)


@pytest.mark.parametrize("store", ["pickle", "joblib"])
def test_a_stored_detector_scores_as_before(fitted, store, tmp_path):
    if store == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        joblib.dump(fitted, tmp_path / "detector.joblib")
        again = joblib.load(tmp_path / "detector.joblib")
    x = curve(20, 5)
    np.testing.assert_array_equal(
        again.score_samples(x), fitted.score_samples(x)
    )


def test_a_pickle_with_mean_and_scale_scores_as_before(fitted):
    # So were detectors stored before they had a scaler and more settings.
    train, x = curve(100, 0), curve(20, 5)
    state = fitted.__getstate__().copy()
    for name in [
        "scaler_",
        "missing_values",
        "warm_start",
        "validation_fraction",
        "verbose",
    ]:
        del state[name]
    state |= {"mean_": train.mean(0), "scale_": train.std(0)}
    again = NAEDetector.__new__(NAEDetector)
    again.__setstate__(state)
    np.testing.assert_allclose(
        again.score_samples(x), fitted.score_samples(x), rtol=1e-10
    )
    np.testing.assert_array_equal(again.predict(x), fitted.predict(x))
    # It can be fitted again, and stored again.
    assert clone(again).fit(train).offset_ == fitted.offset_
    once_more = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(
        once_more.score_samples(x), again.score_samples(x)
    )


def test_equal_seeds_give_equal_models_and_others_do_not():
    x = curve(40, 0)
    scores = [
        tiny(random_state=seed).fit(x).score_samples(x) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_fitting_leaves_global_random_numbers_alone():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    tiny().fit(curve(20, 0))
    assert (random.random(), np.random.random()) == expected


def test_a_clone_has_the_settings_and_is_not_fitted(fitted):
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "model_")


def test_it_works_in_a_pipeline_and_a_grid_search():
    x = curve(60, 0)
    labels = np.where(np.arange(60) % 10, 1, -1)
    x[labels == -1] = 0.0
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), tiny()),
        {"naedetector__latent_dim": [2, 3]},
        scoring="roc_auc",
        cv=2,
        error_score="raise",
    ).fit(x, labels)
    assert search.best_params_["naedetector__latent_dim"] in (2, 3)
    assert 0 <= search.best_score_ <= 1


def test_processes_of_joblib_fit_and_score_as_this_one(fitted):
    x = curve(60, 0)
    labels = np.where(np.arange(60) % 10, 1, -1)
    x[labels == -1] = 0.0
    alone, together = (
        cross_val_score(
            fitted,
            x,
            labels,
            scoring="roc_auc",
            cv=2,
            n_jobs=n_jobs,
            error_score="raise",
        )
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(together, alone)
    (scores,) = joblib.Parallel(n_jobs=2)(
        [joblib.delayed(fitted.score_samples)(x)]
    )
    np.testing.assert_allclose(scores, fitted.score_samples(x), rtol=1e-9)


def test_a_forked_child_gets_a_line_instead_of_a_hang(fitted):
    x = curve(5, 0)
    fitted.score_samples(x)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns of threads, which is what this is about.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:  # Whatever happens, no test goes on here.
        text = "no error"
        try:
            fitted.score_samples(x)
        except RuntimeError as error:
            text = str(error)
        finally:
            os.write(writing, text.encode())
            os._exit(0)
    answers, _, _ = select.select([reading], [], [], 60)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert answers, "it hangs"
    text = os.read(reading, 4_096).decode()
    assert "get_context('spawn')" in text and "\n" not in text
    fitted.score_samples(x)


@pytest.mark.parametrize("networks", ["MLP", linear_networks])
def test_networks_come_by_name_or_from_a_function(networks):
    detector = tiny(networks=networks, latent_space=Euclidean())
    x = curve(20, 0)
    assert detector.fit(x).score_samples(x).shape == (20,)


def test_constant_features_do_no_harm():
    x = np.concatenate([curve(30, 0), np.full((30, 2), 0.1)], axis=1)
    assert x[:, -1].std() > 0  # By rounding.
    detector = tiny().fit(x)
    np.testing.assert_array_equal(detector.scaler_.scale_[-2:], 1.0)
    # Rounding of another kind is no outlier.
    np.testing.assert_allclose(
        detector.score_samples(x + 1e-13), detector.score_samples(x), rtol=1e-6
    )


@pytest.mark.parametrize("num_examples", [30, 5_000])
def test_a_feature_that_varies_by_rounding_is_not_scaled(num_examples):
    # Smaller is rounding of whoever computed the feature, larger is signal.
    signs = np.where(np.arange(num_examples) % 2, 1.0, -1.0)
    x = 1e6 * (1 + signs[:, None] * [1e-13, 1e-11])
    detector = tiny(pretraining_steps=0, steps=0).fit(x)
    np.testing.assert_allclose(
        detector.scaler_.scale_, [1.0, x[:, 1].std()], rtol=1e-10
    )


def test_features_too_large_to_be_squared_are_refused():
    x = np.array([[1e200], [-1e200], [0.0]])
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match=r"finite mean and deviation.*1e\+200"),
    ):
        tiny().fit(x)


@pytest.mark.parametrize(
    ("num_features", "latent_dim"), [(2, 2), (8, 4), (200, 32)]
)
def test_latents_are_half_as_many_as_features_from_2_to_32(
    num_features, latent_dim
):
    asked = []

    def networks(*sizes):
        asked.append(sizes)
        return linear_networks(*sizes)

    x = np.random.default_rng(0).normal(size=(5, num_features))
    tiny(networks=networks, pretraining_steps=0, steps=0).fit(x)
    assert asked == [(num_features, latent_dim)]
