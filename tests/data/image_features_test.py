"""Features that a user's own network makes of images."""

import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from image_trees import write_tiles, write_tree
from tiny_runs import ROOT, untrained_run

from nae_tf.data import image_features
from nae_tf.data.feature_networks import FeatureNetwork
from nae_tf.export import behind_features
from nae_tf.runs import run_directory
from nae_tf.runs.checkpoints import restore
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.training.experiment import Experiment
from nae_tf.training.run_data import read_schema, with_data_of_run


def means_of_quarters(channels=3, side=8):
    """The mean of every quarter of an image, a value for each channel."""
    return keras.Sequential(
        [
            keras.Input((side, side, channels)),
            keras.layers.AveragePooling2D(side // 2),
            keras.layers.Flatten(),
        ],
        name="quarters",
    )


def quarters(images):
    """The same in NumPy, float [batch, 2 * 2 * channels]."""
    batch, side, _, channels = images.shape
    half = side // 2
    blocks = images.reshape(batch, 2, half, 2, half, channels)
    return blocks.mean(axis=(2, 4)).reshape(batch, -1)


@pytest.fixture
def tiles(tmp_path):
    """Folder of ten colour images of 8x8 pixels, and the images in order."""
    folder = tmp_path / "good"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3))
    for number, image in enumerate(images.astype(np.uint8)):
        PIL.Image.fromarray(image).save(folder / f"{number}.png")
    return str(folder), images


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The network as both kinds of files."""
    folder = tmp_path_factory.mktemp("networks")
    network = means_of_quarters()
    network.save(folder / "network.keras")
    network.export(folder / "network", verbose=False)
    return folder


def rows(task):
    parts = (task.train, task.validation, task.test)
    return np.concatenate([part.array for part in parts])


def sorted_rows(values):
    return values[np.lexsort(values.T)]


@pytest.mark.parametrize("kind", ["model", "network.keras", "network"])
def test_features_are_those_of_the_network(kind, tiles, files):
    folder, images = tiles
    network = means_of_quarters() if kind == "model" else str(files / kind)
    task = image_features(network, (-1, 1), folder, cache=None)
    expected = quarters(2 * images / 255 - 1)
    np.testing.assert_allclose(
        sorted_rows(rows(task)), sorted_rows(expected), atol=1e-6
    )
    assert task.train.origin(0).endswith(".png")
    assert task.notes[-1].startswith("12 features of each are made by")


def test_grey_images_have_three_equal_channels(tmp_path):
    folder = str(write_tiles(tmp_path / "grey", 10, shape=(8, 8)))
    task = image_features(means_of_quarters(), (0, 255), folder, cache=None)
    assert task.features.image_shape == (8, 8, 1)
    by_channel = rows(task).reshape(10, 4, 3)
    assert (by_channel == by_channel[..., :1]).all()
    assert by_channel.max() > 1


def test_kept_features_are_read_until_network_or_images_change(
    tiles, tmp_path, monkeypatch
):
    folder, _ = tiles
    calls = []
    network = means_of_quarters()
    call = type(network).call

    def counted(self, *args, **kwargs):
        calls.append(self.name)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(type(network), "call", counted)
    cache = tmp_path / "cache"

    def made(pixel_range=(0, 1), image_size=None):
        calls.clear()
        task = image_features(network, pixel_range, folder, cache=str(cache))
        return rows(task), len(calls)

    first, count = made()
    assert count == 3  # Training, validation and test.
    again, count = made()
    assert count == 0
    np.testing.assert_array_equal(again, first)
    assert made((0, 255))[1] == 3
    # A damaged file is made anew.
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:-4])
    again, count = made()
    assert count == 3
    np.testing.assert_array_equal(again, first)
    image = PIL.Image.new("RGB", (8, 8))
    image.save(f"{folder}/0.png")
    assert made()[1] == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pixel_range": None}, "expected pixel_range, the values of black"),
        ({"pixel_range": (1, 0)}, r"received \(1, 0\)"),
        ({"image_size": (9, 9)}, "takes images of 8x8 pixels, received"),
        ({"network": "nowhere.keras"}, "there is no network 'nowhere.keras'"),
        ({"network": "setup.py"}, "setup.py is no network; expected a .keras"),
        (
            {"network": means_of_quarters(1)},
            "takes grey images, and these have colours",
        ),
        (
            {
                "network": keras.Sequential(
                    [keras.Input((8, 8, 3)), keras.layers.AveragePooling2D(2)]
                )
            },
            r"received \[None, 4, 4, 3\]; add keras.layers.Global",
        ),
        (
            {"network": keras.Sequential([keras.layers.Flatten()])},
            "expected a functional or Sequential Keras model of one",
        ),
        (
            {
                "network": keras.Sequential(
                    [
                        keras.Input((None, None, 3)),
                        keras.layers.GlobalAveragePooling2D(),
                    ]
                )
            },
            r"takes images of any size; set image_size, such as \(224, 224\)",
        ),
    ],
)
def test_what_makes_no_features_is_one_line(
    settings, words, tiles, monkeypatch
):
    monkeypatch.chdir(ROOT)
    folder, _ = tiles
    settings = {
        "network": means_of_quarters(),
        "pixel_range": (0, 1),
        "inliers": folder,
        "cache": None,
    } | settings
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        image_features(**settings)
    assert "\n" not in str(caught.value)


def test_a_saved_model_needs_one_input_of_floats(tmp_path, tiles):
    module = tf.Module()
    module.serve = tf.function(
        lambda x: {"y": tf.reduce_mean(tf.cast(x, tf.float32), [1, 2])},
        input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.uint8, name="x")],
    )
    tf.saved_model.save(
        module, str(tmp_path / "bytes"), {"serving_default": module.serve}
    )
    with pytest.raises(ValueError, match="an input of float32, received uint8"):
        FeatureNetwork.of(tmp_path / "bytes")


def test_a_saved_model_that_reads_files_is_refused_unless_trusted(tmp_path):
    module = tf.Module()
    (tmp_path / "note.txt").write_text("7")

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), name="x")])
    def serve(x):
        text = tf.io.read_file(str(tmp_path / "note.txt"))
        number = tf.strings.to_number(text)
        return {"y": number + tf.reduce_mean(x, [1, 2])}

    path = tmp_path / "reads"
    tf.saved_model.save(module, str(path), {"serving_default": serve})
    with pytest.raises(ValueError, match=r"ReadFile.*; pass trust_network="):
        FeatureNetwork.of(path)
    made = FeatureNetwork.of(path, trust_network=True)
    assert made.forward(tf.zeros([1, 8, 8, 3])).numpy().tolist() == [[7.0] * 3]


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    """A run without a step of training on the features of a tree."""
    folder = tmp_path_factory.mktemp("features")
    tree = write_tree(folder / "tree", train=20, test=4)
    bindings = [
        f"network = '{files}/network.keras'",
        "pixel_range = (0, 1)",
        f"tree = '{tree}'",
        f"image_features.cache = '{folder}/cache'",
        "FCRes2Encoder.hidden_units = 8",
        "FCRes2Decoder.hidden_units = 8",
        "latent_dim = 4",
        "Experiment.pretraining = None",
    ]
    path = untrained_run(
        folder / "run", str(ROOT / "gin" / "features.gin"), bindings
    )
    return run_directory.RunDirectory(path), tree


@pytest.fixture
def experiment(run):
    """What the configuration of the run says now."""
    run[0].load_config()
    return Experiment.from_config()


def test_a_run_on_features_exports_a_model_of_images(run, experiment, tmp_path):
    run, tree = run
    results = json.loads(run.results.read_text())
    assert set(results["methods"]["NAE"]["outliers"]) == {"scratch"}
    model = experiment.build_model()
    restore(model, run.checkpoints("training"))
    outliers = experiment.task.outliers["scratch"]
    expected = model.predict_outlier_score(outliers.array)
    served, schema = behind_features(
        experiment.task.features, model, read_schema(run)
    )
    path = export_model(
        served, Calibration([0.5, 1.0]), tmp_path, schema=schema
    )
    served = ExportedModel(path)
    assert set(served.loaded.signatures) == {
        *("score", "score_at", "score_encoded_image", "serving_default")
    }
    assert served.schema.shape == (8, 8, 1)
    paths = sorted((tree / "test" / "scratch").iterdir())
    encoded = tf.constant([path.read_bytes() for path in paths])
    scored = served.loaded.signatures["score_encoded_image"](encoded)
    np.testing.assert_allclose(scored["energy"], expected, rtol=1e-5)


def test_another_network_is_other_data(run, experiment, files):
    run, _ = run
    assert with_data_of_run(run, experiment).task.name == experiment.task.name
    path = files / "network.keras"
    earlier = path.read_bytes()
    keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.MaxPooling2D(4),
            keras.layers.Flatten(),
        ]
    ).save(path)
    try:
        with pytest.raises(ValueError, match="changed since the training"):
            with_data_of_run(run, Experiment.from_config())
    finally:
        path.write_bytes(earlier)
