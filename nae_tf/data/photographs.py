"""A task on folders of images of any size, with a size chosen for them."""

import dataclasses
import math
import pathlib
import statistics
from collections.abc import Mapping

import gin

from nae_tf.base.feature_names import listed
from nae_tf.data.image_arrays import ImageShape
from nae_tf.data.readers.image_formats import image_format, sizes_text
from nae_tf.data.readers.image_trees import find_tree, read_ground_truth
from nae_tf.data.readers.images import list_images
from nae_tf.data.readers.paths import Paths, existing_paths
from nae_tf.data.task import Task
from nae_tf.data.user_tasks import user_data

# Sides of the networks of Table 10, the larger first.
_GREY_SIDES, _COLOUR_SIDES = (64, 28), (64, 32)


@gin.register(module="nae_tf")
def photographs(
    inliers: Paths | None = None,
    outliers: Paths | Mapping[str, Paths] | None = None,
    tree: str | None = None,
    image_shape: ImageShape | None = None,
) -> Task:
    """Folders of images of any size, or a tree of them as MVTec AD has it.

    Images are resized to one size. What that leaves out, and what of a tree is
    not read, is said in the lines of the task. Settings of `user_data` that a
    gin file binds hold here, too: `user_data.validation_fraction`,
    `user_data.max_level`.

    Args:
        inliers: folder of inliers, or several.
        outliers: folder of outliers, or several, which become one set by the
            name of the first; or folders by name of a set.
        tree: folder with `train/good`, `test/good`, `test/DEFECT` and
            `ground_truth/DEFECT`, in the place of the others. Masks are not
            taken for images.
        image_shape: [height, width, channels] to resize to; None chooses it by
            the inliers, as `photograph_shape` does.

    Raises:
        FileNotFoundError: if a folder does not exist.
        ValueError: if an image or a mask is not what it should be, or folders
            are given twice or lacking.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> import PIL.Image
        >>> from nae_tf.data import photographs
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> pixels = np.random.default_rng(0).integers(0, 256, (10, 80, 90))
        >>> for number, image in enumerate(pixels.astype(np.uint8)):
        ...     PIL.Image.fromarray(image).save(folder / f"{number}.png")
        >>> task = photographs(str(folder))
        >>> task.example_shape, task.train.size
        ((64, 64, 1), 7)
        >>> task.notes[0]
        '10 grey images of 80x90 pixels are resized to 64x64; ...
    """
    folders, formats = _inlier_formats(inliers, tree)
    shape = image_shape or _shape_for(list(formats.values()))
    notes = _resizing(formats, shape) + _about_subfolders(folders, formats)
    # By gin, so that bindings of `user_data` take effect.
    read = gin.get_configurable(user_data)
    if tree is None:
        sets = _named(outliers)
        task = read(
            inliers=list(map(str, folders)), outliers=sets, image_shape=shape
        )
        return dataclasses.replace(task, notes=notes)
    if outliers:
        raise ValueError(
            "photographs: expected either a tree or inliers and outliers, "
            "received both; leave one out."
        )
    parts = find_tree(pathlib.Path(tree))
    sets = {name: str(path) for name, path in parts.outliers.items()}
    if parts.test is None:
        task = read(inliers=str(parts.train), outliers=sets, image_shape=shape)
    else:
        task = read(
            train=str(parts.train),
            validation=parts.validation and str(parts.validation),
            test=str(parts.test),
            outliers=sets,
            image_shape=shape,
        )
    truth = read_ground_truth(parts)
    notes += _about_masks(parts, truth)
    if parts.unread:
        names = listed([str(path) for path in parts.unread])
        notes.append(f"not read: {names}")
    return dataclasses.replace(task, notes=notes, ground_truth=truth)


@gin.register(module="nae_tf")
def photograph_shape(
    inliers: Paths | None = None, tree: str | None = None
) -> ImageShape:
    """Choose a size for images, and colour or grey, by their headers.

    Colour if one image or more has colours. The side is that of a network of
    Table 10 which no image has to be enlarged for: 64, or 32 in colour and 28
    in grey; the shortest side of all images, where that is shorter.

    Args:
        inliers: folder of inliers, or several.
        tree: folder of a tree, in its place; see `photographs`.

    Returns:
        [height, width, channels].

    Raises:
        FileNotFoundError: if a folder does not exist.
        ValueError: if there is no image, or one is damaged.

    Example:
        >>> import pathlib, tempfile
        >>> import PIL.Image
        >>> from nae_tf.data import photograph_shape
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> PIL.Image.new("RGB", (90, 60)).save(folder / "a.png")
        >>> photograph_shape(str(folder))
        (32, 32, 3)
    """
    _, formats = _inlier_formats(inliers, tree)
    return _shape_for(list(formats.values()))


def _shape_for(formats) -> ImageShape:
    channels = max(some.channels for some in formats)
    shortest = min(min(some.height, some.width) for some in formats)
    sides = _GREY_SIDES if channels == 1 else _COLOUR_SIDES
    side = next((side for side in sides if side <= shortest), shortest)
    return side, side, channels


def _inlier_formats(inliers, tree):
    """Return folders of inliers and the formats of their images by path."""
    if (inliers is None) == (tree is None):
        raise ValueError(
            "photographs: expected a folder of inliers, or a tree, received "
            f"{'none' if tree is None else 'both'}; write inliers='photos/good'"
            " or tree='bottle', for example."
        )
    if tree is not None:
        folders = [find_tree(pathlib.Path(tree)).train]
    else:
        folders = existing_paths(inliers)
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(
                f"{folder} is a file, not a folder of images; name its folder, "
                "or take user_data and a preset of its examples for files of "
                "arrays."
            )
    files = [file for folder in folders for file in list_images(folder)[0]]
    return folders, {file: image_format(file) for file in files}


def _named(outliers):
    if outliers is None or isinstance(outliers, Mapping):
        return outliers
    [first, *_] = existing_paths(outliers)
    return {first.name: outliers}


def _resizing(named_formats, shape) -> list[str]:
    """Say what resizing leaves out, and which image is to blame for it."""
    height, width, channels = shape
    formats = list(named_formats.values())
    kind = "grey" if channels == 1 else "colour"
    before = f"{len(formats):,} {kind} images of {sizes_text(formats)} pixels"
    if all(some[:2] == (height, width) for some in formats):
        return [f"{before}, as they are"]
    pixels = sum(some.height * some.width for some in formats)
    share = 1 - len(formats) * height * width / pixels
    lost = []
    if share > 0:
        # Down, so that what is left does not look like nothing.
        lost.append(f"{math.floor(1000 * share) / 10:g} % of the pixels")
    if any(some.height * width != some.width * height for some in formats):
        lost.append("the ratio of their sides")
    left_out = " and ".join(lost)
    dropped = f"; this drops {left_out}" if lost else ""
    lines = [f"{before} are resized to {height}x{width}{dropped}"]
    sides = {file: min(some[:2]) for file, some in named_formats.items()}
    smallest = min(sides, key=sides.__getitem__)
    small = sides[smallest] == min(height, width) < _COLOUR_SIDES[-1]
    if small and statistics.median(sides.values()) > sides[smallest]:
        lines.append(
            f"this size is that of the smallest image, {smallest}; without it, "
            "or by image_shape, it can be larger"
        )
    return lines


def _about_subfolders(folders, files):
    """Name subfolders of inliers: one may hold what is to be found."""
    found = [
        str(folder / name)
        for folder in folders
        for name in sorted(
            {
                file.relative_to(folder).parts[0]
                for file in files
                if folder in file.parents[1:]
            }
        )
    ]
    return [f"subfolders are inliers, too: {listed(found)}"] if found else []


def _about_masks(tree, truth):
    if tree.masks is None:
        return []
    if tree.test is None:
        return ["no test/good, so no metrics of pixels by the masks"]
    if truth is None:
        return [f"masks: none in {tree.masks} of a defect in the test"]
    counts = [
        f"{masks.num_known:,} of {len(masks.images):,} {name!r}"
        for name, masks in truth.outliers.items()
    ]
    lines = [f"masks, for metrics of pixels only: {', '.join(counts)}"]
    if without := sorted(set(tree.outliers) - set(truth.outliers)):
        names = listed(without)
        lines.append(f"no masks of defects, so no metrics of pixels: {names}")
    blank = [str(path) for m in truth.outliers.values() for path in m.blank]
    if blank:
        lines.append(f"masks that mark nothing are left out: {listed(blank)}")
    return lines
