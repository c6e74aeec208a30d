"""Folders and trees of photographs: striped tiles, some with a blot."""

import numpy as np
import PIL.Image


def tile(rng, shape=(90, 120), channels=1):
    """A tile, uint8 [height, width] or with three channels."""
    stripes = 128 + 40 * np.sin(np.arange(shape[1]) / 9 + rng.uniform(0, 6))
    image = stripes + rng.normal(0, 8, shape)
    if channels == 3:
        image = image[..., None] * rng.uniform(0.6, 1, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


def blot(rng, shape=(90, 120), side=20):
    """Where a blot is, bool [height, width]."""
    mask = np.zeros(shape, bool)
    top, left = (rng.integers(0, size - side) for size in shape)
    mask[top : top + side, left : left + side] = True
    return mask


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image).save(path)


def write_tiles(folder, number, seed=0, **settings):
    rng = np.random.default_rng(seed)
    for index in range(number):
        write(folder / f"{index:03}.png", tile(rng, **settings))
    return folder


def write_tree(root, train=40, test=8, defects=("scratch",)):
    """Write a tree as MVTec AD has it; masks have 255 in defects."""
    write_tiles(root / "train" / "good", train, 1)
    write_tiles(root / "test" / "good", test, 2)
    rng = np.random.default_rng(3)
    for defect in defects:
        for index in range(test):
            image, mask = tile(rng), blot(rng)
            write(
                root / "test" / defect / f"{index:03}.png",
                np.where(mask, 250, image).astype(np.uint8),
            )
            write(
                root / "ground_truth" / defect / f"{index:03}_mask.png",
                np.uint8(255) * mask,
            )
    return root
