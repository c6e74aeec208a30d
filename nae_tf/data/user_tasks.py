"""Tasks on the user's own files, named by one line of a gin file."""

import os
from collections.abc import Mapping, Sequence

import gin
import numpy as np

from nae_tf.base.setting_checks import shown
from nae_tf.data import synthetic, task
from nae_tf.data.image_arrays import ImageShape
from nae_tf.data.readers.doubtful import (
    warn_of_one_named,
    warn_of_transposed,
)
from nae_tf.data.readers.paths import (
    Paths,
    read_files,
    refuse_shared_paths,
)
from nae_tf.data.readers.units import refuse_other_units


@gin.register(module="nae_tf")
def user_data(
    inliers: Paths | None = None,
    outliers: Mapping[str, Paths] | None = None,
    selection: Mapping[str, Paths] | None = None,
    key: str | None = None,
    image_shape: ImageShape | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    train: Paths | None = None,
    validation: Paths | None = None,
    test: Paths | None = None,
    drop: Sequence[str] = (),
    header: str = "auto",
    max_level: int | None = None,
    linked_files: bool = False,
) -> task.Task:
    """Own inliers and any number of own outliers.

    The inliers are split at random, or come with a test set of their own:

        user_data.inliers = "photos/good"
        user_data.outliers = {"scratch": "photos/scratch"}

        user_data.train = "bottle/train/good"
        user_data.test = "bottle/test/good"
        user_data.outliers = {"broken": "bottle/test/broken_large"}

    `read_files` describes the kinds of files.

    Args:
        inliers: one path or several, with * as in a shell; None if `train` and
            `test` are given.
        outliers: paths of the outliers of the final table, by name.
        selection: paths of the outliers that model selection may look at, by
            name. None means ConstantGray for images and none for vectors.
        key: name of the array of examples in .npz, HDF5 and .tfrecord files;
            not needed if there is no other array.
        image_shape: [height, width, channels] to resize images of levels to;
            None means that all must have one shape.
        validation_fraction: share of the inliers in (0, 1), of which
            `split_indices` draws round(validation_fraction * size).
        test_fraction: share of the inliers in (0, 1), drawn likewise.
        split_seed: seed of the random split, int >= 0.
        train: inliers of which none is drawn for the test.
        validation: inliers for validation. None means that they are drawn from
            `train` by `validation_fraction`.
        test: inliers for the test.
        drop: names of columns of tables to leave out.
        header: whether tables in text begin with names of columns: "yes", "no",
            or "auto", which refuses lines that may be either.
        max_level: level of white in images, int >= 1, as for `read_files`.
        linked_files: whether HDF5 files may lead to others of their folder.

    Raises:
        FileNotFoundError: if a path does not exist.
        ModuleNotFoundError: if h5py is needed and not installed.
        ValueError: if a file is not what it should be, or the arguments give
            inliers twice or lack a part; one line says it.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from nae_tf.data import user_data
        >>> folder = tempfile.TemporaryDirectory()
        >>> np.save(f"{folder.name}/good.npy", np.zeros((100, 3)))
        >>> np.save(f"{folder.name}/bad.npy", np.ones((10, 3)))
        >>> task = user_data(
        ...     f"{folder.name}/good.npy", {"bad": f"{folder.name}/bad.npy"}
        ... )
        >>> task.train.size, task.validation.size, task.test.size
        (70, 10, 20)
        >>> task.outliers["bad"].size
        10
    """
    for name, paths in {
        "inliers": inliers,
        "train": train,
        "validation": validation,
        "test": test,
    }.items():
        if paths is not None:
            _check_paths(name, paths, "photos/good")
    for name, sets in {"outliers": outliers, "selection": selection}.items():
        if sets is not None:
            _check_sets(name, sets)
    _refuse_parts_that_do_not_fit(inliers, train, validation, test)

    def read(paths, like=None):
        files = read_files(
            paths,
            key,
            image_shape=image_shape,
            names=like and like.names,
            drop=drop,
            header=header,
            max_level=max_level,
            linked_files=linked_files,
        )
        if like is not None:
            warn_of_one_named(files.title, files.names, like.title, like.names)
            refuse_other_units(
                files.title, files.units, like.units, f"that of {like.title}"
            )
        return files

    def read_all(named):
        files = {
            name: read(paths, inlier_files)
            for name, paths in (named or {}).items()
        }
        return {
            name: file.select(name, np.arange(file.size))
            for name, file in files.items()
        }

    refuse_shared_paths(
        {
            "inliers": inliers or train,
            "validation": validation,
            "test": test,
        },
        {**(selection or {}), **(outliers or {})},
    )
    own = inliers or train or []
    inlier_files = read(own)
    fractions = {"validation": validation_fraction, "test": test_fraction}
    given = {"validation": validation, "test": test}
    counts = dict(inlier_files.counts)
    splits = {}
    for name, paths in given.items():
        if paths is not None:
            del fractions[name]
            files = read(paths, inlier_files)
            counts |= files.counts
            title = f"{files.title}, {name}"
            splits[name] = files.select(title, np.arange(files.size))
    positions = np.arange(inlier_files.size)
    splits |= _split(inlier_files, positions, fractions, split_seed)
    return task.Task(
        name=inlier_files.title,
        **splits,
        selection=read_all(selection)
        if selection is not None
        else _default_selection(splits["train"].shape),
        outliers=read_all(outliers),
        files=counts,
        units=inlier_files.units,
    )


def _check_sets(argument: str, sets):
    """Refuse outliers that are not paths by name."""
    if not isinstance(sets, Mapping):
        given = sets if isinstance(sets, str) else "photos/scratch"
        raise ValueError(
            f"user_data: expected {argument} by name, received {shown(sets)}; "
            f"write user_data.{argument} = {{'scratch': {given!r}}}."
        )
    for name, paths in sets.items():
        if not isinstance(name, str):
            raise ValueError(
                "user_data: expected sets of outliers by name, received "
                f"the name {name!r}; put it into quotes."
            )
        _check_paths(f"{argument}[{name!r}]", paths, "photos/scratch")


def _check_paths(argument: str, paths, example: str):
    several = isinstance(paths, (list, tuple))
    kinds = (str, os.PathLike)
    if not all(isinstance(x, kinds) for x in (paths if several else [paths])):
        raise ValueError(
            f"user_data: expected {argument} a path or a list of paths, "
            f"received {shown(paths)}; write {example!r}, for example."
        )


def _refuse_parts_that_do_not_fit(inliers, train, validation, test):
    if not inliers:
        missing = [n for n, v in [("train", train), ("test", test)] if not v]
        if missing:
            raise ValueError(
                "user_data: expected either inliers, which are split at "
                "random, or train and test (and validation, if there is some); "
                f"not set: {', '.join(missing)}."
            )
    elif train or validation or test:
        raise ValueError(
            "user_data: expected either inliers, which are split at random, or "
            "train, validation and test, received both; leave inliers out."
        )


@gin.register(module="nae_tf")
def user_data_holdout(
    paths: Paths,
    held_out_class: str | int,
    key: str | None = None,
    label_key: str | None = None,
    image_shape: ImageShape | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    drop: Sequence[str] = (),
    header: str = "auto",
    drop_unlabelled: bool = False,
    max_level: int | None = None,
    linked_files: bool = False,
) -> task.Task:
    """Hold out one class of own data as the outlier class.

        user_data_holdout.paths = "flowers"          # flowers/rose/1.png, ...
        user_data_holdout.held_out_class = "rose"

    `read_files` describes the kinds of files.

    Args:
        paths: one path or several, with * as in a shell.
        held_out_class: subfolder or label of the outliers.
        key: name of the array of examples in .npz, HDF5 and .tfrecord files;
            not needed if there is no other array but `label_key`.
        label_key: name of the array of classes, or of a column in a table;
            not needed for folders.
        image_shape: [height, width, channels] to resize images of levels to;
            None means that all must have one shape.
        validation_fraction: share of the inliers in (0, 1), of which
            `split_indices` draws round(validation_fraction * size).
        test_fraction: share of the inliers in (0, 1), drawn likewise.
        split_seed: seed of the random split, int >= 0.
        drop: names of columns of tables to leave out.
        header: whether tables in text begin with names of columns: "yes", "no",
            or "auto", which refuses lines that may be either.
        drop_unlabelled: whether examples without a label are left out and
            counted; they are refused otherwise.
        max_level: level of white in images, int >= 1, as for `read_files`.
        linked_files: whether HDF5 files may lead to others of their folder.

    Raises:
        FileNotFoundError: if a path does not exist.
        ModuleNotFoundError: if h5py is needed and not installed.
        ValueError: if a file is not what it should be or has no such class.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from nae_tf.data import user_data_holdout
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = f"{folder.name}/flowers.npz"
        >>> kind = np.repeat(["rose", "tulip"], [20, 80])
        >>> np.savez(path, sizes=np.ones((100, 3)), kind=kind)
        >>> task = user_data_holdout(path, "rose", label_key="kind")
        >>> task.outliers["rose"].size
        20
    """
    files = read_files(
        paths,
        key,
        label_key,
        image_shape,
        drop=drop,
        header=header,
        drop_unlabelled=drop_unlabelled,
        max_level=max_level,
        linked_files=linked_files,
    )
    if files.labels is None:
        raise ValueError(
            f"{files.title} has no classes; set label_key, or sort images "
            "into subfolders."
        )
    name = str(held_out_class).strip()
    is_outlier = files.labels == name
    classes = np.unique(files.labels).tolist()
    if not is_outlier.any():
        raise ValueError(
            f"{files.title} has no class {name!r}; it has "
            f"{classes[:20]}{' and more' if len(classes) > 20 else ''}."
        )
    fractions = {"validation": validation_fraction, "test": test_fraction}
    inliers = np.flatnonzero(~is_outlier)
    splits = _split(files, inliers, fractions, split_seed)
    return task.Task(
        name=f"{files.title} without {name}",
        **splits,
        selection=_default_selection(splits["train"].shape),
        outliers={name: files.select(name, np.flatnonzero(is_outlier))},
        files=files.counts,
        units=files.units,
    )


def _split(files, inliers, fractions, seed):
    """Parts of a task by name: those with a fraction, and train."""
    sizes = [round(part * len(inliers)) for part in fractions.values()]
    if min(sizes, default=1) < 1 or sum(sizes) >= len(inliers):
        wanted = ", ".join(
            f"{size} for {'the test' if name == 'test' else name}"
            for name, size in zip(fractions, sizes, strict=True)
        )
        raise ValueError(
            f"{files.title}: {len(inliers)} inliers cannot be split into "
            f"{wanted} and the rest for training; give more, or other "
            "fractions."
        )
    parts = task.split_indices(len(inliers), sizes, seed)
    splits = {
        split: files.select(f"{files.title}, {split}", inliers[part])
        for split, part in zip(("train", *fractions), parts, strict=True)
    }
    shape = (files.size, *splits["train"].shape)
    warn_of_transposed(files.title, shape, files.names)
    return splits


def _default_selection(shape):
    if len(shape) != 3:
        return {}
    return {"constant_gray": synthetic.constant_gray(shape, "validation")}
