"""Folders and trees of photographs: sizes, masks, and what is left out."""

import gin
import numpy as np
import PIL.Image
import pytest
from image_trees import blot, tile, write, write_tiles, write_tree

from nae_tf.data import photograph_shape, photographs
from nae_tf.data.readers.image_formats import image_format
from nae_tf.data.readers.images import read_image

RNG = np.random.default_rng(0)


def stored(examples):
    return np.stack(list(examples.stored().as_numpy_iterator()))


# --- Size and colour ----------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "channels", "expected"),
    [
        ([(64, 64), (900, 700)], 1, (64, 64, 1)),
        ([(64, 64), (900, 700)], 3, (64, 64, 3)),
        ([(63, 900)], 1, (28, 28, 1)),
        ([(63, 900)], 3, (32, 32, 3)),
        ([(30, 40)], 3, (30, 30, 3)),
        ([(27, 40), (50, 19)], 1, (19, 19, 1)),
    ],
)
def test_the_size_needs_no_enlargement(sizes, channels, expected, tmp_path):
    for number, size in enumerate(sizes):
        image = tile(RNG, size, channels)
        write(tmp_path / f"{number}.png", image)
    assert photograph_shape(str(tmp_path)) == expected


def test_one_image_in_colour_makes_all_colour(tmp_path):
    write(tmp_path / "a.png", tile(RNG))
    write(tmp_path / "b.png", tile(RNG, channels=3))
    assert photograph_shape(str(tmp_path)) == (64, 64, 3)
    with pytest.raises(ValueError, match=r"a\.png has 1 channels, expected 3"):
        photographs(str(tmp_path))


def test_the_image_that_makes_all_small_is_named(tmp_path):
    write_tiles(tmp_path, 12)
    write(tmp_path / "thumbnail.png", tile(RNG, (12, 16)))
    task = photographs(str(tmp_path))
    assert task.example_shape == (12, 12, 1)
    assert task.notes[1] == (
        f"this size is that of the smallest image, {tmp_path / 'thumbnail.png'}"
        "; without it, or by image_shape, it can be larger"
    )
    assert len(photographs(str(tmp_path), image_shape=(28, 28, 1)).notes) == 1


def test_subfolders_of_inliers_are_named(tmp_path):
    for name in ("good", "bad"):
        write_tiles(tmp_path / name, 6)
    [_, line] = photographs(str(tmp_path)).notes
    found = [str(tmp_path / name) for name in ("bad", "good")]
    assert line == f"subfolders are inliers, too: {found}"


def odd_images():
    grey, colour = (PIL.Image.fromarray(tile(RNG, channels=c)) for c in (1, 3))
    deep = PIL.Image.fromarray(np.full((7, 9), 40_000, np.uint16))
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    return {
        "grey.jpg": (grey, {}),
        "colour.jpg": (colour, {}),
        "inks.jpg": (colour.convert("CMYK"), {}),
        "turned.jpg": (colour, {"exif": turned}),
        "palette.png": (colour.convert("P"), {}),
        "palette.gif": (grey, {}),
        "bits.png": (grey.convert("1"), {}),
        "alpha.png": (grey.convert("LA"), {}),
        "deep.png": (deep, {}),
        "deep.tiff": (deep, {}),
        "colour.bmp": (colour, {}),
    }


@pytest.mark.parametrize("name", odd_images())
def test_the_header_says_what_decoding_finds(name, tmp_path):
    image, settings = odd_images()[name]
    image.save(tmp_path / name, **settings)
    read = read_image(tmp_path / name)
    assert image_format(tmp_path / name) == read.shape


def test_a_damaged_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.png"):
        photographs(str(tmp_path))


def test_grey_images_of_16_bits_keep_their_depth(tmp_path):
    levels = RNG.integers(0, 65_536, (20, 28, 28), dtype=np.uint16)
    for number, image in enumerate(levels):
        write(tmp_path / f"{number:02}.png", image)
    task = photographs(str(tmp_path))
    assert task.example_shape == (28, 28, 1)
    assert task.train.num_levels == 65_536
    parts = [stored(x) for x in (task.train, task.validation, task.test)]
    found = {image.tobytes() for image in np.concatenate(parts)}
    assert found == {image.tobytes() for image in levels}


# --- Folders ------------------------------------------------------------------


def test_two_paths_are_a_task(tmp_path):
    good = write_tiles(tmp_path / "good", 20)
    bad = write_tiles(tmp_path / "bad", 3, seed=1)
    task = photographs(str(good), str(bad))
    assert task.example_shape == (64, 64, 1)
    assert {name: x.size for name, x in task.outliers.items()} == {"bad": 3}
    # 64 * 64 of 90 * 120 pixels are kept: 0.379.
    assert task.notes == [
        "20 grey images of 90x120 pixels are resized to 64x64; this drops "
        "62 % of the pixels and the ratio of their sides"
    ]
    assert task.counts()[-1] == task.notes[0]
    assert task.ground_truth is None
    alone = photographs(str(good), image_shape=(90, 120, 1))
    assert alone.notes == ["20 grey images of 90x120 pixels, as they are"]
    assert not alone.outliers


def test_bindings_of_user_data_hold(tmp_path):
    good = write_tiles(tmp_path / "good", 20)
    gin.clear_config()
    try:
        gin.parse_config("user_data.test_fraction = 0.5")
        assert photographs(str(good)).test.size == 10
    finally:
        gin.clear_config()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "a folder of inliers, or a tree, received none"),
        ({"inliers": "a", "tree": "b"}, "received both"),
        ({"tree": "tree", "outliers": "tree/test/scratch"}, "leave one out"),
        ({"tree": "missing"}, "no folder missing"),
        ({"tree": "tree/test"}, "no folder train/good"),
        ({"inliers": "tree/a.npy"}, "not a folder of images"),
    ],
)
def test_what_is_lacking_is_said(settings, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "tree", train=20, test=2)
    np.save(tmp_path / "tree" / "a.npy", np.zeros(3))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        photographs(**settings)
    assert "\n" not in str(error.value)


# --- Trees --------------------------------------------------------------------


def test_a_tree_is_one_setting(tmp_path):
    tree = write_tree(tmp_path / "bottle", defects=("scratch", "stain"))
    (tree / "license.txt").write_text("free")
    task = photographs(tree=str(tree))
    sizes = [x.size for x in (task.train, task.validation, task.test)]
    assert sizes == [36, 4, 8]
    assert list(task.outliers) == ["scratch", "stain"]
    assert task.outliers["stain"].size == 8
    # Blots are bright in images, and masks, which are brighter, are not there.
    assert stored(task.outliers["stain"]).max() <= 250
    assert task.notes[1:] == [
        "masks, for metrics of pixels only: 8 of 8 'scratch', 8 of 8 'stain'",
        f"not read: ['{tree / 'license.txt'}']",
    ]
    masks = task.ground_truth.outliers["scratch"]
    mask = masks.read(3)
    assert mask.shape == (90, 120) and mask.sum() == 20 * 20
    assert (read_image(masks.images[3])[mask] == 250).all()
    assert not task.ground_truth.inliers.read(0).any()


def test_masks_have_one_of_three_names(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    folder = tree / "ground_truth" / "scratch"
    (folder / "000_mask.png").rename(folder / "000.png")
    (folder / "001_mask.png").unlink()
    one, other = blot(RNG, side=9), blot(RNG, side=9)
    write(folder / "001" / "000.png", np.uint8(1) * one)
    write(folder / "001" / "001.png", np.uint8(255) * other)
    (folder / "002_mask.png").unlink()
    masks = photographs(tree=str(tree)).ground_truth.outliers["scratch"]
    assert masks.read(0).sum() == 20 * 20
    np.testing.assert_array_equal(masks.read(1), one | other)
    assert masks.read(2) is None
    assert masks.num_known == 2


def test_a_mask_without_an_image_is_refused(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    (tree / "test" / "scratch" / "001.png").unlink()
    with pytest.raises(ValueError, match=r"001_mask\.png is a mask of no im"):
        photographs(tree=str(tree))


def test_a_mask_of_another_size_is_refused(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    path = tree / "ground_truth" / "scratch" / "001_mask.png"
    write(path, np.zeros((120, 90), np.uint8))
    # Before hours of training.
    with pytest.raises(ValueError, match=r"120x90 pixels, but .* has 90x120"):
        photographs(tree=str(tree))


def test_a_mask_of_two_images_is_refused(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    write(tree / "test" / "scratch" / "001.jpg", tile(RNG))
    with pytest.raises(
        ValueError, match=r"001_mask\.png is a mask of 2 images"
    ):
        photographs(tree=str(tree))


def test_masks_that_mark_nothing_are_left_out(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3, defects=("scratch", "stain"))
    blank = tree / "ground_truth" / "scratch" / "001_mask.png"
    write(blank, np.zeros((90, 120), np.uint8))
    for path in (tree / "ground_truth" / "stain").iterdir():
        write(path, np.zeros((90, 120), np.uint8))
    task = photographs(tree=str(tree))
    assert task.notes[1:] == [
        "masks, for metrics of pixels only: 2 of 3 'scratch'",
        "no masks of defects, so no metrics of pixels: ['stain']",
        f"masks that mark nothing are left out: ['{blank}']",
    ]
    masks = task.ground_truth.outliers["scratch"]
    assert masks.read(1) is None and masks.num_known == 2


def test_a_mask_in_jpeg_marks_what_it_was_made_of(tmp_path):
    tree = write_tree(tmp_path / "tree", test=1)
    [path] = (tree / "ground_truth" / "scratch").iterdir()
    mask = read_image(path)[..., 0]
    lossy = path.with_suffix(".jpg")
    PIL.Image.fromarray(mask).save(lossy, quality=75)
    path.unlink()
    # Greys around the blot are no defects.
    assert (read_image(lossy) > 0).sum() > (mask > 0).sum()
    found = photographs(tree=str(tree)).ground_truth.outliers["scratch"].read(0)
    np.testing.assert_array_equal(found, mask > 0)


def test_folders_of_a_tree_may_have_capitals(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    (tree / "test" / "good").rename(tree / "test" / "Good")
    (tree / "train" / "good").rename(tree / "train" / "OK")
    for part in ("train", "test", "ground_truth"):
        (tree / part).rename(tree / part.title())
    task = photographs(tree=str(tree))
    assert (task.train.size, task.test.size) == (36, 3)
    assert list(task.outliers) == ["scratch"]
    assert task.ground_truth.outliers["scratch"].num_known == 3


def test_what_has_no_place_in_a_tree_is_named(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    image = tile(RNG)
    beside = [
        *("train/000.png", "train/ok", "train/scratch", "validation/scratch"),
        *("test/000.png", "test/normal", "ground_truth/dent"),
    ]
    for name in beside:
        inside = "" if name.endswith(".png") else "000.png"
        write(tree / name / inside, image)
    for place in ("", "test", "ground_truth/scratch"):
        (tree / place / "Thumbs.db").touch()
    write(tree / "ground_truth" / "good" / "000.png", image)
    task = photographs(tree=str(tree))
    assert (task.train.size, task.test.size) == (36, 3)
    places = [str(tree / name) for name in beside]
    assert task.notes[-1] == f"not read: {places}"


def test_a_tree_without_test_inliers_or_masks(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    (tree / "ground_truth").rename(tmp_path / "elsewhere")
    for path in (tree / "test" / "good").iterdir():
        path.unlink()
    (tree / "test" / "good").rmdir()
    task = photographs(tree=str(tree))
    assert (task.train.size, task.test.size) == (28, 8)
    assert task.ground_truth is None
    assert len(task.notes) == 1


def test_without_test_inliers_masks_and_validation_are_not_used(tmp_path):
    tree = write_tree(tmp_path / "tree", test=3)
    (tree / "validation").mkdir()
    (tree / "test" / "good").rename(tree / "validation" / "good")
    task = photographs(tree=str(tree))
    assert (task.train.size, task.validation.size) == (28, 4)
    assert task.ground_truth is None
    assert task.notes[1:] == [
        "no test/good, so no metrics of pixels by the masks",
        f"not read: {[str(tree / 'validation' / 'good')]}",
    ]
