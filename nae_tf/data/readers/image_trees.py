"""Trees of images as MVTec AD has them: train, test and ground_truth."""

import collections
import pathlib
from typing import NamedTuple

from nae_tf.data.ground_truth import GroundTruth, Masks
from nae_tf.data.readers.image_formats import image_format
from nae_tf.data.readers.images import files_below, is_hidden, list_images

INLIERS = ("good", "ok", "normal")
_MASKS = "ground_truth"
_PARTS = ("train", "validation", "test", _MASKS)
_ENDING = "_mask"


class ImageTree(NamedTuple):
    """Folders of a tree.

    Attributes:
        train: inliers to train on.
        validation: inliers for validation, or None; read beside `test` only.
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

    "ok" and "normal" stand for "good", capitals for small letters;
    `validation/good` may be there, too.

    Args:
        root: folder of the tree.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no images to train on.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}.")
    parts = {name: _called(root, (name,))[:1] for name in _PARTS}
    inliers = {
        name: [path for part in parts[name] for path in _called(part, INLIERS)]
        for name in ("train", "validation", "test")
    }
    train, validation, test = (
        paths[0] if paths else None for paths in inliers.values()
    )
    if train is None:
        raise ValueError(
            f"{root} is no tree of images: it has no folder train/good (or ok, "
            "normal); name the folders themselves by inliers and outliers."
        )
    if test is None:
        validation = None  # Comes with test inliers only.
    outliers = {
        path.name: path
        for part in parts["test"]
        for path in _folders(part)
        if path not in inliers["test"]
    }
    masks = next(iter(parts[_MASKS]), None)
    read = {train, validation, test, *outliers.values()}
    if masks is not None:
        read |= {masks / name for name in outliers}
        read |= set(_called(masks, INLIERS))
    found = [part for paths in parts.values() for part in paths]
    beside = [path for path in _entries(root) if path not in found]
    return ImageTree(
        train,
        validation,
        test,
        outliers,
        masks,
        beside + [p for part in found for p in _entries(part) if p not in read],
    )


def _entries(folder):
    return sorted(path for path in folder.iterdir() if not is_hidden(path))


def _folders(folder):
    return [path for path in _entries(folder) if path.is_dir()]


def _called(folder, names):
    """Return the subfolders of these names, small letters before capitals."""
    found = [path for path in _folders(folder) if path.name.lower() in names]
    return sorted(found, key=lambda path: path.name.swapcase())


def read_ground_truth(tree: ImageTree) -> GroundTruth | None:
    """Find the masks of the test images of a tree.

    The mask of `test/DEFECT/000.png` is `ground_truth/DEFECT/000_mask.png`, or
    `000.png`, or all images of a folder `000`. Every mask is read once, so that
    an unfit one is found before training.

    Args:
        tree: parts of the tree, of which the headers of the test images are
            read.

    Returns:
        The masks, or None if there are none, or no test inliers.

    Raises:
        ValueError: if a mask belongs to no image or to two, or an image or a
            mask is damaged or of another size.
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
    stems = [image.relative_to(folder).with_suffix("") for image in images]
    files: dict[pathlib.Path, list[pathlib.Path]] = {stem: [] for stem in stems}
    # A folder that is called as masks are would be refused as one of images.
    for path in sorted(files_below(masks) if masks.is_dir() else ()):
        name = path.relative_to(masks).with_suffix("")
        without_ending = pathlib.Path(str(name).removesuffix(_ENDING))
        owners = [
            stem
            for stem in (name, without_ending, name.parent)
            if stem in files
        ]
        if not owners:
            raise ValueError(
                f"{path} is a mask of no image in {folder}: expected the name "
                f"of one, with or without {_ENDING}; correct its name or "
                "remove it."
            )
        files[owners[0]].append(path)
    for stem, number in collections.Counter(stems).items():
        if files[stem] and number > 1:
            raise ValueError(
                f"{files[stem][0]} is a mask of {number} images, of which one "
                f"is {images[stems.index(stem)]}; give them names that differ "
                "before the ending."
            )
    return Masks(
        images, _sizes(images), [files[stem] for stem in stems]
    ).without_blank()
