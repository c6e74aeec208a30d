"""Trees of images as MVTec AD has them: train, test and ground_truth."""

import pathlib
from typing import NamedTuple

from nae_tf.data.ground_truth import GroundTruth, Masks
from nae_tf.data.readers.image_formats import image_format
from nae_tf.data.readers.images import list_images

INLIERS = ("good", "ok", "normal")
_MASKS = "ground_truth"
_ENDINGS = ("", "_mask")


class ImageTree(NamedTuple):
    """Folders of a tree.

    Attributes:
        train: inliers to train on.
        validation: inliers for validation, or None.
        test: inliers of the test, or None.
        outliers: folders of defects by their names.
        masks: folder of the masks, or None.
        unread: files and folders beside these.
    """

    train: pathlib.Path
    validation: pathlib.Path | None
    test: pathlib.Path | None
    outliers: dict[str, pathlib.Path]
    masks: pathlib.Path | None
    unread: list[pathlib.Path]


def find_tree(root: pathlib.Path) -> ImageTree:
    """Find the parts of a tree; no image is read.

        root/train/good, root/test/good, root/test/DEFECT,
        root/ground_truth/DEFECT

    "ok" and "normal" stand for "good"; `validation/good` may be there, too.

    Args:
        root: folder of the tree.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no images to train on.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}.")
    train = _inliers(root / "train")
    if train is None:
        raise ValueError(
            f"{root} is no tree of images: it has no folder train/good (or ok, "
            "normal); name the folders themselves by inliers and outliers."
        )
    validation, test = _inliers(root / "validation"), _inliers(root / "test")
    outliers = {
        path.name: path
        for path in _folders(root / "test")
        if path.name not in INLIERS
    }
    masks = root / _MASKS
    parts = {"train", "validation", "test", _MASKS}
    unread = [
        path
        for path in sorted(root.iterdir())
        if path.name not in parts and not path.name.startswith(".")
    ]
    unread += [p for p in _folders(root / "train") if p != train]
    return ImageTree(
        train,
        validation,
        test,
        outliers,
        masks if masks.is_dir() else None,
        unread,
    )


def _folders(folder):
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def _inliers(folder):
    return next((p for p in _folders(folder) if p.name in INLIERS), None)


def read_ground_truth(tree: ImageTree) -> GroundTruth | None:
    """Find the masks of the test images of a tree.

    The mask of `test/DEFECT/000.png` is `ground_truth/DEFECT/000_mask.png`, or
    `000.png`, or all images of a folder `000`.

    Args:
        tree: parts of the tree, of which the headers of the test images are
            read.

    Returns:
        The masks, or None if there are none, or no test inliers.

    Raises:
        ValueError: if a mask belongs to no image, or an image is damaged.
    """
    if tree.masks is None or tree.test is None or not tree.outliers:
        return None
    outliers = {
        name: _masks(folder, tree.masks / name)
        for name, folder in tree.outliers.items()
    }
    known = {name: masks for name, masks in outliers.items() if masks.num_known}
    if not known:
        return None
    images, _ = list_images(tree.test)
    none: list[list[pathlib.Path]] = [[] for _ in images]
    inliers = Masks(images, _sizes(images), none, has_defects=False)
    return GroundTruth(inliers, known)


def _sizes(images):
    return [image_format(path)[:2] for path in images]


def _masks(folder, masks):
    """Pair the images of a folder with their masks."""
    images, _ = list_images(folder)
    found: dict[pathlib.Path, list[pathlib.Path]] = {}
    # A folder that is called as masks are would be refused as one of images.
    paths = sorted(
        path
        for path in (masks.rglob("*") if masks.is_dir() else ())
        if path.is_file() and not path.name.startswith(".")
    )
    for path in paths:
        found.setdefault(path.relative_to(masks).with_suffix(""), []).append(
            path
        )
    files: list[list[pathlib.Path]] = []
    for image in images:
        stem = image.relative_to(folder).with_suffix("")
        mine = [
            name
            for name in found
            if name.parent == stem
            or name in [stem.with_name(stem.name + end) for end in _ENDINGS]
        ]
        files.append([path for name in mine for path in found.pop(name)])
    if found:
        [stray, *_] = [path for paths in found.values() for path in paths]
        raise ValueError(
            f"{stray} is a mask of no image in {folder}: expected the name of "
            f"one, with or without {_ENDINGS[-1]}; correct its name or remove "
            "it."
        )
    return Masks(images, _sizes(images), files)
