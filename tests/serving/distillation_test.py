"""Students of a few plain layers against their teachers."""

import shutil

import keras
import numpy as np
import pytest
import scipy.stats
from tiny_models import image_networks, short_sampler, vector_nae

from nae_tf import NAE, Autoencoder, Calibration, ExportedModel, export_model
from nae_tf.metrics import auroc
from nae_tf.serving.distillation import Distillation, Student, draw_negatives

RANDOM = np.random.default_rng(0)
# Inliers of extreme units: a ring of radius 1 in other coordinates.
CENTRE, UNITS = np.array([300.0, 5e4]), np.array([0.5, 1e3])
FAST = Distillation((32, 16), steps=1_500, batch_size=128, num_mixtures=2_000)
LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.Conv2D,
    keras.layers.Dense,
    keras.layers.Flatten,
)


def ring(count, radius=1.0):
    angle = RANDOM.uniform(0, 2 * np.pi, size=count)
    unit = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (CENTRE + UNITS * unit).astype(np.float32)


def distance(x):
    """The teacher's score: squared distance from the ring, never 0."""
    radius = np.linalg.norm((x - CENTRE) / UNITS, axis=1)
    return 0.01 + (radius - 1.0) ** 2


@pytest.fixture(scope="module")
def distilled():
    noise = RANDOM.uniform(-2, 2, size=(2_000, 2))
    negatives = (CENTRE + UNITS * noise).astype(np.float32)
    return FAST.fit(ring(500), negatives, distance)


def test_a_student_ranks_as_its_teacher(distilled):
    student = Student(distilled.network)
    noise = np.random.default_rng(5).uniform(-1.8, 1.8, size=(1_000, 2))
    fresh = (CENTRE + UNITS * noise).astype(np.float32)
    score = student.predict_outlier_score
    rank = scipy.stats.spearmanr(score(fresh), distance(fresh)).statistic
    assert rank > 0.95
    # The middle of the ring is no place for inliers.
    assert auroc(score(ring(300)), score(ring(300, radius=0.3))) > 0.98
    # In the units of the teacher.
    assert distilled.target == "log energy"
    error = score(fresh) - np.log(distance(fresh))
    assert np.sqrt(np.mean(error**2)) < 0.4


def test_a_student_is_a_stack_of_plain_layers(distilled, tmp_path):
    assert type(distilled.network) is keras.Sequential
    assert all(type(layer) in LAYERS for layer in distilled.network.layers)
    distilled.network.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    x = ring(20)
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), distilled.network.predict(x, verbose=0)
    )


@pytest.mark.parametrize(
    ("shape", "kinds"),
    [
        ((5,), ["BatchNormalization", "Dense", "Dense"]),
        ((8, 8, 1), ["Flatten", "Dense", "Dense"]),
        ((28, 14, 3), ["Conv2D", "Flatten", "Dense", "Dense"]),
        ((28, 28, 1), ["Conv2D", "Conv2D", "Flatten", "Dense", "Dense"]),
        ((4, 3), ["Flatten", "Dense", "Dense"]),
    ],
)
def test_layers_are_those_of_the_shape(shape, kinds):
    network = Distillation((8,), (4, 4)).network(np.zeros((2, *shape)))
    assert [type(layer).__name__ for layer in network.layers] == kinds


def test_an_exported_student_answers_with_p_values(distilled, tmp_path):
    student = Student(distilled.network)
    held_out = student.predict_outlier_score(ring(199))
    path = export_model(student, Calibration(held_out, 0.05), tmp_path)
    answers = ExportedModel(path).score(np.concatenate([ring(3), ring(3, 0.2)]))
    assert answers["is_outlier"].tolist() == [False] * 3 + [True] * 3
    assert np.all(answers["p_value"][3:] == np.float32(1 / 200))


def test_scores_that_may_be_negative_are_learnt_as_they_are():
    settings = Distillation((8,), steps=300, learning_rate=0.03, num_mixtures=0)
    x = RANDOM.normal(size=(400, 2)).astype(np.float32)
    found = settings.fit(x, 3 * x, lambda x: 5 * x[:, 0] - 2 * x[:, 1])
    assert found.target == "energy"
    y = found.network.predict(x, verbose=0)[:, 0]
    np.testing.assert_allclose(y, 5 * x[:, 0] - 2 * x[:, 1], atol=1.0)


def test_the_seed_decides_everything():
    def weights(seed):
        settings = Distillation(
            hidden_units=(4,), steps=5, num_mixtures=9, seed=seed
        )
        return settings.fit(x, x[::-1] + 1, distance).network.get_weights()

    x = ring(50)
    for one, other in zip(weights(3), weights(3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(weights(3)[-2], weights(4)[-2])


def test_examples_without_a_finite_score_are_left_out():
    def teacher(x):
        score = distance(x)
        score[::7] = np.inf
        return score

    settings = Distillation((4,), steps=5, num_mixtures=9)
    network = settings.fit(ring(50), ring(50, 2.0), teacher).network
    assert np.all(np.isfinite(network.predict(ring(9), verbose=0)))


def test_a_student_without_finite_scores_is_refused():
    settings = Distillation((4,), (), 9, learning_rate=1e30, num_mixtures=9)
    with pytest.raises(ValueError, match="scores are not finite; scale"):
        settings.fit(ring(50), ring(50, 2.0), distance)


@pytest.mark.parametrize(
    "settings",
    [{"steps": 0}, {"hidden_units": (8, 0)}, {"learning_rate": -1.0}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} .*received"):
        Distillation(**settings)


# --- Negative samples -------------------------------------------------------


def test_negatives_are_starts_and_ends_of_the_teachers_chains():
    images = RANDOM.uniform(size=(20, 12, 12, 1)).astype(np.float32)
    teacher = NAE(*image_networks(), sampler=short_sampler((0.0, 1.0)))
    counts = []
    found = draw_negatives(teacher, images, 300, 7, counts.append)
    assert sum(counts) == 300
    assert found.shape == (2 * 2 * 256, 12, 12, 1)
    assert found.min() >= 0 and found.max() <= 1
    starts, ends = found[256:512], found[:256]
    # Two steps of the chain, of noise 0.05 and a gradient.
    moved = np.abs(starts - ends)
    assert 0 < np.mean(moved) < 0.3
    np.testing.assert_array_equal(
        found, draw_negatives(teacher, images, 300, 7)
    )


def test_a_teacher_without_chains_has_made_outliers():
    encoder, decoder = vector_nae().encoder, vector_nae().decoder
    x = RANDOM.normal(size=(50, 4)).astype(np.float32)
    found = draw_negatives(Autoencoder(encoder, decoder), x, 40)
    # Three kinds of them, of values that the features have.
    assert found.shape == (120, 4)
    assert np.all((found >= x.min(0)) & (found <= x.max(0)))


def test_negatives_of_a_teacher_that_standardises_are_in_units_of_the_data():
    x = ring(200)
    teacher = NAE(
        *[
            keras.Sequential([keras.Input([2]), keras.layers.Dense(2)])
            for _ in range(2)
        ],
        sampler=short_sampler(),
    ).standardize(x)
    found = draw_negatives(teacher, x, 10)
    assert abs(np.median(found[:, 0]) - 300) < 50
    assert abs(np.median(found[:, 1]) - 5e4) < 1e4


# --- hls4ml -----------------------------------------------------------------


def students():
    x = RANDOM.normal([300, 0, 5, 1], [2, 1, 4, 1], size=(50, 4))
    yield "table", Distillation((8,)).network(x), x
    x = RANDOM.uniform(size=(50, 14, 14, 1))
    yield "images", Distillation((8,), filters=(4,)).network(x), x


def converted(network, folder):
    hls4ml = pytest.importorskip("hls4ml")
    settings = hls4ml.utils.config_from_keras_model(
        network, granularity="model", default_precision="ap_fixed<32,14>"
    )
    return hls4ml.converters.convert_from_keras_model(
        network,
        hls_config=settings,
        output_dir=str(folder),
        backend="Vitis",
        io_type="io_parallel",
    )


@pytest.mark.parametrize("kind, network, x", students())
def test_hls4ml_knows_every_layer_of_a_student(kind, network, x, tmp_path):
    layers = {
        layer.class_name for layer in converted(network, tmp_path).get_layers()
    }
    assert "Dense" in layers
    assert ("BatchNormalization" if kind == "table" else "Conv2D") in layers


@pytest.mark.slow
@pytest.mark.parametrize("kind, network, x", students())
def test_the_c_simulation_of_hls4ml_scores_as_the_student(
    kind, network, x, tmp_path
):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    simulated = converted(network, tmp_path)
    simulated.compile()
    x = np.ascontiguousarray(x, np.float32)
    expected = network.predict(x, verbose=0)[:, 0]
    assert np.ptp(expected) > 0.3
    np.testing.assert_allclose(
        simulated.predict(x).ravel(), expected, atol=0.01
    )
