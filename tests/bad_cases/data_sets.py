"""Data sets by name, and what tasks are made of."""

import json
import sys
import types

import numpy as np

from nae_tf.data import image_arrays, image_tasks, synthetic, task, tfds_images
from nae_tf.data.digits import digits_holdout
from nae_tf.data.sources import ArrayExamples
from nae_tf.data.user_tasks import user_data
from nae_tf.runs import configuration
from nae_tf.training.experiment import Experiment


def zeros(count, size):
    return ArrayExamples(
        f"size {size}", count, (size,), None, lambda: np.zeros((count, size))
    )


def training_batches(count=3, **arguments):
    examples = zeros(count, 1)
    arguments = {"batch_size": 1, "seed": 0} | arguments
    return lambda: examples.training_batches(**arguments)


def task_of(name):
    narrow, wide = zeros(3, 1), zeros(3, 2)
    return lambda: task.Task("t", narrow, narrow, narrow, **{name: {"w": wide}})


def own_data(**arguments):
    """A task of a table of ten rows."""

    def call(tmp_path):
        path = tmp_path / "normal.csv"
        np.savetxt(path, np.eye(10), delimiter=",")
        user_data(**({"inliers": str(path)} | arguments))

    return call


def model_for_other_data(preset, *bindings):
    def call(tmp_path):
        path = tmp_path / "normal.csv"
        np.savetxt(path, np.eye(10), delimiter=",")
        configuration.parse_config(
            [preset],
            [
                "Experiment.task=@user_data()",
                f"user_data.inliers={str(path)!r}",
                *bindings,
            ],
        )
        Experiment.from_config().build_model()

    return call


def broken_tensorflow_datasets(monkeypatch):
    broken = types.ModuleType("tensorflow_datasets")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", broken)
    tfds_images.image_examples("mnist", "test")


def read_test_images():
    return tfds_images.image_examples("mnist", "test").array


def read_test_labels():
    return tfds_images.read_labels("mnist", "test")


def damaged_set(damage, message, name="*test*-00002*", read=read_test_images):
    """A row of the table: a file of a prepared set that is damaged."""

    def call(tiny_mnist, tmp_path):
        [file] = tmp_path.glob(f"mnist/*/{name}")
        damage(file)
        read()

    remedy = r": the data set is damaged; remove its folder and run `python "
    return call, rf"{message}.*{remedy}-m nae_tf\.prepare --dataset=mn"


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-100])


def change_a_byte(file):
    contents = bytearray(file.read_bytes())
    contents[100] ^= 255
    file.write_bytes(contents)


def promise_one_more(info):
    """As a set whose size in bytes is not known, and one record short."""
    contents = json.loads(info.read_text())
    for split in contents["splits"]:
        split["numBytes"] = "0"
        split["shardLengths"][0] = str(int(split["shardLengths"][0]) + 1)
    info.write_text(json.dumps(contents))


DAMAGED_SETS = {
    "cut off": damaged_set(cut_off, r"mnist-test.* \d+ bytes of \d+"),
    "deleted": damaged_set(lambda file: file.unlink(), "00002 is missing"),
    "emptied": damaged_set(
        lambda file: file.write_bytes(b""), "00002 is empty"
    ),
    "changed": damaged_set(
        change_a_byte, r"a file of .*mnist/\S+ cannot be read"
    ),
    "changed, of labels": damaged_set(
        change_a_byte,
        r"a file of .*mnist/\S+ cannot be read",
        read=read_test_labels,
    ),
    "of an empty description": damaged_set(
        lambda file: file.write_bytes(b""),
        r"dataset_info\.json of mnist in .* cannot be read",
        name="dataset_info.json",
    ),
    "of another file's description": damaged_set(
        lambda file: file.write_text("{}"),
        r"dataset_info\.json of mnist in .* cannot be read",
        name="dataset_info.json",
    ),
    "of a description that is no text": damaged_set(
        lambda file: file.write_bytes(b"\xff\xfe\x80"),
        r"dataset_info\.json of mnist in .* cannot be read",
        name="dataset_info.json",
    ),
    "with too few labels": damaged_set(
        promise_one_more,
        "has 40 labels of 41",
        name="dataset_info.json",
        read=read_test_labels,
    ),
    "with too few images": damaged_set(
        promise_one_more,
        r"a file of .*mnist/\S+ cannot be read",
        name="dataset_info.json",
    ),
}

CASES = {
    **{
        f"{argument} that are {value!r}": (
            own_data(**{argument: value}),
            rf"expected {argument} by name, received .*; write user_data\."
            rf"{argument} = {{'scratch': ",
        )
        for argument in ("outliers", "selection")
        for value in ("a.csv", ["a.csv"])
    },
    "outliers without a path": (
        own_data(outliers={"a": None}),
        r"expected outliers\['a'\] a path or a list of paths, received None",
    ),
    "inliers that are an array": (
        own_data(inliers=np.eye(3)),
        r"expected inliers a path or a list of paths, received array\(\[\[1",
    ),
    "inliers by name": (
        own_data(inliers={"a": "a.csv"}),
        "expected inliers a path or a list of paths, received {'a': 'a.csv'}",
    ),
    "rows for a model of images": (
        model_for_other_data("mnist.gin"),
        r"\(28, 28, 1\), but those of '.*normal.csv' have \(10,\); take the "
        r"preset vectors\.gin and bind num_features=10\.",
    ),
    "rows for a model of fewer features": (
        model_for_other_data("vectors.gin", "num_features=7"),
        r"\(7,\), but those of '.*' have \(10,\); bind num_features=10\.",
    ),
    "batch size": (
        training_batches(batch_size=0),
        "size 1: expected an integer batch_size >= 1, received 0",
    ),
    "start step": (
        training_batches(start_step=-1),
        "expected an integer start_step >= 0, received -1",
    ),
    "flipped vectors": (training_batches(flip=True), "use flip=False"),
    "no example": (training_batches(count=0), "no example to train on"),
    "array of another shape": (
        lambda: ArrayExamples(
            "w", 5, (3,), None, lambda: np.zeros((5, 2))
        ).batches(1),
        r"w: expected .*\(5, 3\), received \(5, 2\)",
    ),
    "wide outliers": (task_of("outliers"), "size 2 has examples of shape"),
    "wide selection": (task_of("selection"), "size 2 has examples of shape"),
    "split of nothing": (
        lambda: task.split_indices(5, (2, 3), seed=0),
        "cannot split 5 examples",
    ),
    **{
        f"digit {digit!r}": (
            lambda digit=digit: digits_holdout(digit),
            f"0 ... 9, received {digit!r}",
        )
        for digit in (-1, 10, "9")
    },
    "class 10": (lambda: image_tasks.mnist_holdout(10), "0 ... 9, received 10"),
    "class -1": (lambda: image_tasks.mnist_holdout(-1), "0 ... 9, received -1"),
    "class 'nine'": (
        lambda: image_tasks.mnist_holdout("nine"),
        "0 ... 9, received 'nine'",
    ),
    "classes of CelebA": (
        lambda: image_tasks.class_holdout("celeba", 0),
        "expected dataset 'mnist', .*received 'celeba'",
    ),
    "labels of CelebA": (
        lambda: tfds_images.read_labels("celeba", "test"),
        "celeba has no classes",
    ),
    **{
        f"outliers {name!r}": (
            lambda name=name: image_tasks.outlier_examples(
                name, "test", (28, 28, 1)
            ),
            f"'{name}'.*chimera_mnist",
        )
        for name in ("minst", "padded", "_gray", "minst_padded")
    },
    **{
        f"selection by {name}": (
            lambda name=name: image_tasks.outlier_examples(
                name, "validation", (28, 28, 1)
            ),
            "has no split 'validation'",
        )
        for name in ("half_mnist", "chimera_mnist")
    },
    "data set": (
        lambda: tfds_images.image_examples("mnsit", "test"),
        "unknown data set 'mnsit'; expected one of",
    ),
    "split of Omniglot": (
        lambda: tfds_images.image_examples("omniglot", "train"),
        "omniglot has no split 'train'; it has",
    ),
    "split of MNIST": (
        lambda: tfds_images.image_examples("mnist", "tset"),
        "mnist has no split 'tset'; it has",
    ),
    "flat images": (
        lambda: tfds_images.image_examples("mnist", "test", (28, 28)),
        "expected image_shape .*received",
    ),
    "images of two channels": (
        lambda: tfds_images.image_examples("mnist", "test", (28, 28, 2)),
        "expected image_shape .*received",
    ),
    "padding too small": (
        lambda: image_arrays.pad_images(np.zeros([1, 33, 32, 3]), (32, 32, 3)),
        "cannot be padded",
    ),
    "chimeras of one class": (
        lambda: synthetic.chimera_images(
            np.random.default_rng(0), np.zeros([3, 4, 4, 1]), np.full(3, 7), 2
        ),
        "at least two classes, received .*7",
    ),
    "training data of noise": (
        lambda: synthetic.noise((4, 4, 3), split="train"),
        "expected split 'validation' or 'test', received 'train'",
    ),
    "a broken tensorflow-datasets": (
        broken_tensorflow_datasets,
        r"tensorflow-metadata<1\.18",
        ImportError,
    ),
    **{f"a data set {name}": case for name, case in DAMAGED_SETS.items()},
    "images of no pixels": (
        lambda: tfds_images.image_examples("mnist", "test", (0, 28, 1)),
        "expected image_shape .*received",
    ),
    "a data set that is not on disk": (
        lambda tmp_path: tfds_images.image_examples(
            "celeba", "train", data_dir=str(tmp_path)
        ),
        r"python -m nae_tf\.prepare --dataset=celeba --data_dir=.*"
        r"1\.4 GiB",
        FileNotFoundError,
    ),
}
