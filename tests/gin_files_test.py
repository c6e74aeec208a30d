"""Every preset runs train and evaluate, narrow and short, on stand-in data."""

import dataclasses
import json
import pathlib

import gin
import keras
import numpy as np
import pytest
from image_set_stand_in import stand_in, write_set
from image_trees import write_tree
from slow_cases import slow_unless
from tiny_runs import UNTRAINED

from nae_tf import NAE, OnManifold
from nae_tf.baselines import ProjectionDiffusion
from nae_tf.data import tfds_images
from nae_tf.evaluation.evaluate import evaluate
from nae_tf.evaluation.results import aurocs
from nae_tf.networks import Conv32Encoder
from nae_tf.networks.by_size import fc_res2_networks
from nae_tf.runs import configuration, run_directory
from nae_tf.tables.settings import DEFAULTS
from nae_tf.train import train
from nae_tf.training.experiment import Experiment

GIN = pathlib.Path(__file__).resolve().parent.parent / "gin"
# Parts of others, and mnist_holdout on fewer digits.
NOT_TRAINED = {"base", "conv28", "conv32_big", "mnist_selection"}
PRESETS = sorted({path.stem for path in GIN.glob("*.gin")} - NOT_TRAINED)
# They have networks, chains and phases of another, on other image sets.
ALIKE = {
    "fashion_mnist": "mnist",
    "mnist_holdout": "mnist",
    "imagenet32": "cifar10",
}
# And these: the graphs of cifar10 take longest of all, images has a guide that
# a test follows, and two_blobs is eight_gaussians on other data.
SLOW = {*ALIKE, "cifar10", "images", "two_blobs"}
NARROW = [
    "Conv28Encoder.width = 2",
    "Conv28Encoder.hidden_units = 8",
    "Conv28Decoder.width = 2",
    "Conv32BigEncoder.width = 4",
    "Conv32BigDecoder.width = 4",
    "Conv64Encoder.width = 8",
    "Conv64Decoder.width = 8",
    "FCRes2Encoder.units = 8",
    "FCRes2Encoder.hidden_units = 16",
    "FCRes2Decoder.units = 8",
    "FCRes2Decoder.hidden_units = 16",
    "MLPEncoder.hidden_units = (8,)",
    "MLPDecoder.hidden_units = (8,)",
]
SMOKE = str(GIN / "budgets" / "smoke.gin")


@pytest.fixture(scope="module")
def written_sets(tmp_path_factory):
    """Stand-ins for every image set: 40 images a split."""
    folder = tmp_path_factory.mktemp("sets")
    for seed, (name, image_set) in enumerate(tfds_images.IMAGE_SETS.items()):
        splits = {
            split: stand_in(name, 40, 10 * seed + number)
            for number, split in enumerate(image_set.splits.values())
        }
        write_set(folder, name, **splits)
    return folder


@pytest.fixture
def all_sets(written_sets, monkeypatch):
    """They are the data, with 10 images for validation."""
    monkeypatch.setenv("NAE_TF_DATA_DIR", str(written_sets))
    for name, image_set in tfds_images.IMAGE_SETS.items():
        if image_set.validation_size:
            smaller = image_set.__class__(
                **{**vars(image_set), "validation_size": 10}
            )
            monkeypatch.setitem(tfds_images.IMAGE_SETS, name, smaller)


@pytest.fixture
def own_table(tmp_path):
    """Bindings of a table: inliers of four features, and outliers."""
    rng = np.random.default_rng(0)
    for name, count in [("normal", 40), ("faults", 10)]:
        rows = rng.normal(size=(count, 4))
        np.savetxt(
            tmp_path / f"{name}.csv",
            rows,
            delimiter=",",
            header="a,b,c,d",
            comments="",
        )
    return [
        "num_features = 4",
        "latent_dim = 2",
        f"user_data.inliers = '{tmp_path}/normal.csv'",
        f"user_data.outliers = {{'faults': '{tmp_path}/faults.csv'}}",
    ]


@pytest.fixture
def own_tree(tmp_path):
    """Binding of a tree of images with masks."""
    return [f"tree = '{write_tree(tmp_path / 'tree', train=20, test=3)}'"]


@pytest.fixture
def own_network(own_tree, tmp_path):
    """Bindings of a network, which makes features of the tree's images."""
    keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Flatten(),
        ]
    ).save(tmp_path / "network.keras")
    return [
        *own_tree,
        f"network = '{tmp_path}/network.keras'",
        "pixel_range = (0, 255)",
        f"image_features.cache = '{tmp_path}/cache'",
    ]


@pytest.mark.parametrize("preset", slow_unless({*PRESETS} - SLOW, PRESETS))
def test_every_preset_trains_and_evaluates(
    preset, all_sets, own_table, own_tree, own_network, tmp_path
):
    files = [str(GIN / f"{preset}.gin"), SMOKE]
    own_data = {
        "vectors": own_table,
        "images": own_tree,
        "features": own_network,
    }.get(preset, [])
    configuration.parse_config(files, [*NARROW, *own_data])
    run = run_directory.RunDirectory(tmp_path / "run")
    results = train(run, Experiment.from_config())
    assert results == json.loads(run.results.read_text())
    # The run's own configuration says the same.
    run.load_config()
    again = Experiment.from_config()
    assert again.task.name == results["task"]
    assert type(again.build_model()).__name__ in results["methods"]
    scores = [
        score
        for outliers in aurocs(results).values()
        for score in outliers.values()
    ]
    assert scores and all(0 <= score <= 1 for score in scores)


def without_names(config):
    """A config without what Keras counts in a process."""
    if isinstance(config, dict):
        return {
            key: without_names(value)
            for key, value in config.items()
            if key != "name"
        }
    if isinstance(config, list):
        return list(map(without_names, config))
    return config


@pytest.mark.parametrize("preset", ALIKE)
def test_a_preset_differs_from_one_that_is_trained_in_its_data(
    preset, all_sets
):
    experiments, models, settings = {}, {}, {}
    for name in (preset, ALIKE[preset]):
        configuration.parse_config([str(GIN / f"{name}.gin"), SMOKE], NARROW)
        experiments[name] = Experiment.from_config()
        models[name] = experiments[name].build_model()
        phases = experiments[name].pretraining, experiments[name].training
        settings[name] = without_names(
            [
                models[name].get_config(),
                *(
                    {**vars(phase), "optimizer": phase.optimizer().get_config()}
                    for phase in phases
                ),
            ]
        )
    assert settings[preset] == settings[ALIKE[preset]]
    task, model = experiments[preset].task, models[preset]
    sets = [task.train, task.validation, task.test]
    for examples in [*sets, *task.outliers.values(), *task.selection.values()]:
        (batch, *_) = examples.batches(8)
        scores = model.predict_outlier_score(batch)
        assert len(scores) == len(batch) and np.isfinite(scores).all()


@pytest.mark.slow
def test_a_run_is_evaluated_again_from_its_configuration(all_sets, tmp_path):
    files = [str(GIN / "mnist_holdout.gin"), SMOKE]
    configuration.parse_config(files, [*NARROW, *UNTRAINED])
    run = run_directory.RunDirectory(tmp_path / "run")
    results = train(run, Experiment.from_config())
    run.load_config()
    assert evaluate(run, Experiment.from_config()) == results


def test_vectors_are_trained_as_the_detector_trains_them(own_table):
    configuration.parse_config([str(GIN / "vectors.gin")], own_table)
    experiment = Experiment.from_config()
    model = experiment.build_model()
    assert model.sampler == OnManifold.for_tables()
    networks = (model.encoder, model.decoder)
    for ours, theirs in zip(networks, fc_res2_networks(4, 2), strict=True):
        differing = {
            key
            for key, value in theirs.get_config().items()
            if ours.get_config()[key] != value
        }
        assert differing <= {"dtype", "name"}
    for phase, prefix in [
        (experiment.pretraining, "pretraining_"),
        (experiment.training, ""),
    ]:
        _, rate = DEFAULTS[f"{prefix}learning_rate"]
        _, batch_size = DEFAULTS["batch_size"]
        assert phase.batch_size == batch_size
        assert float(phase.optimizer().learning_rate) == pytest.approx(rate)


def test_the_method_and_the_size_of_images_are_one_binding_away(own_tree):
    files = [str(GIN / name) for name in ("images.gin", "methods/vae.gin")]
    shape = ["image_shape = (28, 28, 1)"]
    configuration.parse_config(files, [*own_tree, *shape])
    model = Experiment.from_config().build_model()
    assert type(model).__name__ == "VAE"
    assert type(model.encoder).__name__ == "Conv28Encoder"
    # Chains as in Keras, where nothing is said of them.
    configuration.parse_config(files[:1], [*own_tree, *shape])
    sampler = Experiment.from_config().build_model().sampler
    assert sampler == OnManifold.for_data(np.ones((2, 28, 28, 1)))


@pytest.mark.parametrize(
    "start",
    slow_unless(
        {"PersistentContrastiveDivergence"},
        ["ContrastiveDivergence", "PersistentContrastiveDivergence"],
    ),
)
def test_other_chain_starts_are_one_binding_away(start, all_sets, tmp_path):
    files = [str(GIN / "mnist_holdout.gin"), SMOKE]
    bindings = [
        f"NAE.sampler = @{start}()",
        # It is the same for all.
        "Experiment.pretraining = None",
    ]
    configuration.parse_config(files, [*NARROW, *bindings])
    experiment = Experiment.from_config()
    model = experiment.build_model()
    assert type(model.sampler).__name__ == start
    assert model.sampler.visible_chain.step_size == 10.0
    train(run_directory.RunDirectory(tmp_path / "run"), experiment)


def test_mpdr_is_nae_with_another_sampler(tmp_path):
    files = [str(GIN / f"{name}.gin") for name in ("digits", "methods/mpdr")]
    configuration.parse_config(files, NARROW)
    model = Experiment.from_config().build_model()
    assert type(model) is NAE
    assert model.sampler == ProjectionDiffusion.for_images()
    configuration.parse_config([*files, SMOKE], NARROW)
    experiment = Experiment.from_config()
    results = train(run_directory.RunDirectory(tmp_path / "run"), experiment)
    assert list(aurocs(results)["NAE"]) == ["digit 9"]


@pytest.mark.slow
def test_a_preset_trains_as_on_a_gpu(tmp_path):
    gpu = str(GIN / "devices" / "gpu.gin")
    configuration.parse_config([str(GIN / "mnist.gin"), gpu])
    chains = gin.get_configurable("OnManifold")()
    assert chains.latent_chain.num_parts == chains.visible_chain.num_parts == 1
    configuration.parse_config([str(GIN / "digits.gin"), SMOKE, gpu], NARROW)
    experiment = Experiment.from_config()
    assert experiment.jit_compile
    results = train(run_directory.RunDirectory(tmp_path / "run"), experiment)
    assert list(aurocs(results)["NAE"]) == ["digit 9"]


@pytest.mark.parametrize(
    "budget, epochs",
    [("paper", 50), ("cpu", 15), ("cpu_ablations", 6), ("smoke", 1)],
)
def test_a_budget_after_a_preset_wins(budget, epochs, all_sets):
    files = [str(GIN / "mnist.gin"), str(GIN / "budgets" / f"{budget}.gin")]
    configuration.parse_config(files)
    assert Experiment.from_config().training.epochs == epochs


def test_the_budget_of_colour_scales_the_chains_of_the_paper(all_sets):
    files = [GIN / "cifar10.gin", GIN / "budgets" / "cpu_color.gin"]
    configuration.parse_config([str(file) for file in files])
    model = Experiment.from_config().build_model()
    assert isinstance(model.encoder, Conv32Encoder)
    latent, visible = (
        model.sampler.latent_chain,
        model.sampler.visible_chain,
    )
    # As far along the gradient, 20 steps of 1 and 40 of 10.
    assert latent.num_steps * latent.step_size == pytest.approx(20, rel=0.02)
    assert visible.num_steps * visible.step_size == pytest.approx(400)
    # At the temperature of Table 11, with the paper's bound on a move.
    temperature = latent.noise_std**2 / (2 * latent.step_size)
    assert temperature == pytest.approx(0.02**2 / 2, rel=0.02)
    assert visible.step_size * visible.clip_limit == pytest.approx(0.1)
    assert visible.bounds == (0, 1)


# What the presets say, against Table 11 and section D.3 of the paper.
TABLE_11 = {
    "mnist_holdout": ((10, 0.2, 0.05), (50, 10.0, 0.05)),
    "mnist": ((10, 0.2, 0.05), (50, 10.0, 0.05)),
    "cifar10": ((20, 1.0, 0.02), (40, 10.0, 0.02)),
    "celeba64": ((20, 1.0, 0.02), (40, 10.0, 0.02)),
    "eight_gaussians": ((10, 0.005, 0.1), (30, 0.005, 0.1)),
}


@pytest.mark.parametrize("preset", ["mnist", "mnist_holdout"])
def test_the_default_sampler_is_that_of_mnist(preset, all_sets):
    parts = ["chain_parts = 1"]  # It changes nothing but the speed.
    configuration.parse_config([str(GIN / f"{preset}.gin")], [*NARROW, *parts])
    model = Experiment.from_config().build_model()
    assert model.sampler == OnManifold.for_images()


# What each preset states about its chains, whatever the package's defaults are.
STATED = ["num_steps", "step_size", "noise_std"]
STATED_WITH_BOUNDS = [*STATED, "noise_schedule", "clip_limit", "bounds"]


# Those of images are chosen by the size.
@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "images"])
@pytest.mark.parametrize("chain", ["latent", "visible"])
def test_a_preset_states_the_numbers_of_its_chains(preset, chain):
    configuration.parse_config([str(GIN / f"{preset}.gin")])
    is_bounded = chain == "visible" and preset in (
        *("digits", "mnist", "mnist_holdout", "fashion_mnist"),
        *("cifar10", "celeba64", "imagenet32"),
    )
    for setting in STATED_WITH_BOUNDS if is_bounded else STATED:
        assert gin.query_parameter(f"{chain}/LangevinChain.{setting}")


def test_chains_of_the_digits_are_those_of_mnist_but_for_the_length():
    configuration.parse_config([str(GIN / "digits.gin")])
    sampler = Experiment.from_config().build_model().sampler
    chains = (sampler.latent_chain, sampler.visible_chain)
    assert [
        (chain.num_steps, chain.step_size, chain.noise_std) for chain in chains
    ] == [(10, 0.2, 0.05), (10, 10.0, 0.05)]
    visible = dataclasses.replace(sampler.visible_chain, num_steps=50)
    assert visible == OnManifold.for_images().visible_chain


@pytest.mark.parametrize("preset", TABLE_11)
def test_chains_are_those_of_table_11(preset, all_sets):
    configuration.parse_config([str(GIN / f"{preset}.gin")], NARROW)
    model = Experiment.from_config().build_model()
    chains = (model.sampler.latent_chain, model.sampler.visible_chain)
    settings = tuple(
        (chain.num_steps, chain.step_size, chain.noise_std) for chain in chains
    )
    assert settings == TABLE_11[preset]
    is_2d = preset == "eight_gaussians"
    assert chains[1].metropolis_hastings is is_2d
    assert (chains[1].gradient_clip is None) is is_2d
    assert (chains[1].noise_schedule == "constant") is is_2d
    assert model.trains_temperature is is_2d
    assert float(model.temperature) == pytest.approx(0.5 if is_2d else 1.0)
    assert model.latent_space.is_curved is not is_2d
