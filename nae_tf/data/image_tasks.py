"""Tasks of the paper on image data sets (appendix D.1).

A task holds out one class of a data set (Tables 1 and 3) or takes other data
sets as outliers (Tables 2 and 4). Nothing is downloaded here: the command
`nae_tf.prepare` does that. Next: `tfds_images`, which reads a data set.
"""

import functools
from collections.abc import Sequence

import gin

from nae_tf.base.setting_checks import check_choice, check_integer
from nae_tf.data import (
    examples,
    image_arrays,
    sources,
    synthetic,
    task,
    tfds_images,
)
from nae_tf.data.image_arrays import ImageShape
from nae_tf.data.tfds_images import IMAGE_SETS, image_examples

_SYNTHETIC = {
    "constant": synthetic.constant,
    "constant_gray": synthetic.constant_gray,
    "noise": synthetic.noise,
}
_FROM_MNIST = ("half_mnist", "chimera_mnist")
_VARIANTS = {
    "padded": image_arrays.pad_images,
    "gray": image_arrays.gray_images,
}


@gin.register(module="nae_tf")
def mnist_holdout(
    held_out_class: int, split_seed: int = 0, data_dir: str | None = None
) -> task.Task:
    """MNIST with one digit held out as the outlier class (Tables 1 and 3).

    Args:
        held_out_class: digit of the outliers, 0 ... 9.
        split_seed: seed of the random validation set, int >= 0.
        data_dir: folder of tensorflow-datasets; None means the environment
            variable NAE_TF_DATA_DIR, or else the default of
            tensorflow-datasets.

    Raises:
        FileNotFoundError: if MNIST is not on disk.
        ValueError: if there is no such class.

    Example:
        >>> from nae_tf.data import mnist_holdout
        >>> task = mnist_holdout(held_out_class=1)  # doctest: +SKIP
        >>> list(task.outliers)  # doctest: +SKIP
        ['mnist 1']
    """
    return class_holdout("mnist", held_out_class, split_seed, data_dir)


@gin.register(module="nae_tf")
def class_holdout(
    dataset: str,
    held_out_class: int,
    split_seed: int = 0,
    data_dir: str | None = None,
) -> task.Task:
    """Hold out one class of a data set as the outlier class (section 6.3).

    The training file is split at random as in Table 9 (MNIST: 54,000 for
    training, 6,000 for validation); then the class is removed from both parts
    and from the test file. The outliers are the images of that class in the
    test file. Model selection may look at ConstantGray images.

    Args:
        dataset: "mnist", "fashion_mnist", "svhn" or "cifar10".
        held_out_class: label of the outlier class, 0 ... 9.
        split_seed: seed of the random validation set, int >= 0.
        data_dir: folder of tensorflow-datasets; None means the environment
            variable NAE_TF_DATA_DIR, or else the default of
            tensorflow-datasets.

    Raises:
        FileNotFoundError: if the data set is not on disk.
        ValueError: if there is no such data set or class.

    Example:
        >>> from nae_tf.data import class_holdout
        >>> task = class_holdout("fashion_mnist", 5)  # doctest: +SKIP
        >>> task.name, task.example_shape  # doctest: +SKIP
        ('fashion_mnist without 5', (28, 28, 1))
    """
    owner = f"class_holdout of {dataset}"
    classes = _classes_of("class_holdout", dataset)
    check_integer(owner, "held_out_class", held_out_class, 0, classes[-1])
    split_of = functools.partial(
        _split_of_classes, dataset, split_seed, data_dir
    )
    inlier_classes = set(classes) - {held_out_class}
    image_shape = IMAGE_SETS[dataset].image_shape
    return task.Task(
        name=f"{dataset} without {held_out_class}",
        train=split_of("train", inlier_classes),
        validation=split_of("validation", inlier_classes),
        test=split_of("test", inlier_classes),
        selection={
            "constant_gray": synthetic.constant_gray(image_shape, "validation")
        },
        outliers={
            f"{dataset} {held_out_class}": split_of("test", {held_out_class})
        },
    )


@gin.register(module="nae_tf")
def class_selection(
    dataset: str,
    judged_classes: Sequence[int],
    left_out_classes: Sequence[int] = (),
    split_seed: int = 0,
    data_dir: str | None = None,
) -> task.Task:
    """Hold out classes to choose settings by, on the training file alone.

    Settings for a class that nobody may look at are chosen by other classes:
    the task is trained without all of them. Its test inliers and outliers are
    images of the validation split of `class_holdout`, so no test image is ever
    read, nor an image of the classes that are left out.

    Args:
        dataset: "mnist", "fashion_mnist", "svhn" or "cifar10".
        judged_classes: labels of the outlier classes, a set of outliers each.
        left_out_classes: labels of classes that are neither inliers nor
            outliers.
        split_seed: seed of the random validation set, int >= 0.
        data_dir: folder of tensorflow-datasets; None means the environment
            variable NAE_TF_DATA_DIR, or else the default of
            tensorflow-datasets.

    Raises:
        FileNotFoundError: if the data set is not on disk.
        ValueError: if there is no such data set or class, a class is named
            twice, or no class is left or judged.

    Example:
        >>> from nae_tf.data import class_selection
        >>> task = class_selection("mnist", [5, 7], [1, 9])  # doctest: +SKIP
        >>> list(task.outliers)  # doctest: +SKIP
        ['mnist 5, validation', 'mnist 7, validation']
    """
    owner = f"class_selection of {dataset}"
    classes = _classes_of("class_selection", dataset)
    for name, labels in [
        ("judged_classes", judged_classes),
        ("left_out_classes", left_out_classes),
    ]:
        for label in labels:
            check_integer(owner, name, label, 0, classes[-1])
    named = [*judged_classes, *left_out_classes]
    if len(set(named)) < len(named):
        raise ValueError(
            f"{owner}: expected every class once, received judged_classes "
            f"{tuple(judged_classes)} and left_out_classes "
            f"{tuple(left_out_classes)}."
        )
    inlier_classes = set(classes) - set(named)
    if not judged_classes or not inlier_classes:
        raise ValueError(
            f"{owner}: expected one judged class or more and one inlier class "
            f"or more, received judged_classes {tuple(judged_classes)} and "
            f"left_out_classes {tuple(left_out_classes)}."
        )
    split_of = functools.partial(
        _split_of_classes, dataset, split_seed, data_dir
    )
    validation = split_of("validation", inlier_classes)
    return task.Task(
        name=f"{dataset} without {', '.join(map(str, sorted(named)))}",
        train=split_of("train", inlier_classes),
        validation=validation,
        test=validation,
        selection={
            "constant_gray": synthetic.constant_gray(
                IMAGE_SETS[dataset].image_shape, "validation"
            )
        },
        outliers={
            f"{dataset} {label}, validation": split_of("validation", {label})
            for label in judged_classes
        },
    )


def _classes_of(function: str, dataset: str) -> range:
    """Return the labels of a data set, which has to have some."""
    num_classes = {
        k: v.num_classes for k, v in IMAGE_SETS.items() if v.num_classes
    }
    check_choice(function, "dataset", dataset, num_classes)
    return range(num_classes[dataset])


def _split_of_classes(dataset, split_seed, data_dir, split, kept):
    return image_examples(
        dataset,
        split,
        classes=kept,
        split_seed=split_seed,
        data_dir=data_dir,
    )


@gin.register(module="nae_tf")
def out_of_distribution(
    inlier: str,
    outliers: Sequence[str],
    selection: Sequence[str],
    image_shape: ImageShape | None = None,
    split_seed: int = 0,
    data_dir: str | None = None,
) -> task.Task:
    """Take one data set as normal, others as outliers (section 6.3).

    Real data sets are "mnist", "fashion_mnist", "omniglot", "svhn", "cifar10",
    "celeba" and "imagenet32". Synthetic ones are "constant", "constant_gray",
    "noise", "half_mnist" and "chimera_mnist". The name of a real one may end
    in "_padded" for images surrounded by zeros instead of resized, or in
    "_gray" for images without colour. The paper selects models of CIFAR-10 and
    ImageNet32 on "mnist_padded".

    Args:
        inlier: name of the data set to train on.
        outliers: names of the data sets of the final table; their test splits
            are used.
        selection: names of the data sets that model selection may look at;
            their validation splits are used.
        image_shape: [height, width, channels] of all images; None means that
            of the inliers. CelebA needs (32, 32, 3) or (64, 64, 3).
        split_seed: seed of random validation sets, int >= 0.
        data_dir: folder of tensorflow-datasets; None means the environment
            variable NAE_TF_DATA_DIR, or else the default of
            tensorflow-datasets.

    Raises:
        FileNotFoundError: if a data set is not on disk.
        ValueError: if there is no such data set or split.

    Example:
        >>> from nae_tf.data import out_of_distribution
        >>> task = out_of_distribution(  # doctest: +SKIP
        ...     "mnist",
        ...     outliers=["fashion_mnist", "omniglot", "noise"],
        ...     selection=["constant_gray"],
        ... )
        >>> task.outliers["omniglot"].shape  # doctest: +SKIP
        (28, 28, 1)
    """
    inliers = {
        split: image_examples(
            inlier,
            split,
            image_shape,
            split_seed=split_seed,
            data_dir=data_dir,
        )
        for split in ("train", "validation", "test")
    }

    def named(names, split):
        return {
            name: outlier_examples(
                name, split, inliers["train"].shape, split_seed, data_dir
            )
            for name in names
        }

    return task.Task(
        name=inlier,
        train=inliers["train"],
        validation=inliers["validation"],
        test=inliers["test"],
        selection=named(selection, "validation"),
        outliers=named(outliers, "test"),
    )


def outlier_examples(
    name: str,
    split: str,
    image_shape: ImageShape,
    split_seed: int = 0,
    data_dir: str | None = None,
) -> examples.Examples:
    """One split of a data set by any name that `out_of_distribution` knows."""
    if name in _SYNTHETIC:
        return _SYNTHETIC[name](image_shape, split)
    if name in _FROM_MNIST:
        return _from_mnist(name, split, image_shape, data_dir)
    base, _, variant = name.rpartition("_")
    if variant not in _VARIANTS:
        base, variant = name, ""
    if base not in IMAGE_SETS:
        known = [*IMAGE_SETS, *_SYNTHETIC, *_FROM_MNIST]
        raise ValueError(
            f"unknown data set {name!r}; expected one of {known}, or one of "
            "the real sets followed by _padded or _gray."
        )
    return image_examples(
        base,
        split,
        image_shape,
        fit=_VARIANTS.get(variant),
        split_seed=split_seed,
        data_dir=data_dir,
        title=name,
    )


def _from_mnist(name, split, image_shape, data_dir):
    """HalfMNIST or ChimeraMNIST: one image per MNIST test image."""
    if split != "test":
        raise ValueError(f"{name} has no split {split!r}, only 'test'.")
    digits = image_examples("mnist", "test", data_dir=data_dir)

    def read():
        rng = synthetic.stream(split, seed=0)
        images = sources.to_array(digits.stored())
        if name == "half_mnist":
            made = synthetic.half_images(rng, images)
        else:
            labels = tfds_images.read_labels("mnist", "test", data_dir)
            made = synthetic.chimera_images(rng, images, labels)
        return image_arrays.resize_images(made, image_shape).numpy()

    return sources.ArrayExamples(
        name, digits.size, tuple(image_shape), 256, read
    )
