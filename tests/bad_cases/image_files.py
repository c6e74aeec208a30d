"""The user's folders of images, and paths that lead nowhere."""

import numpy as np
import tensorflow as tf
from data_files import random_images, write_folder, write_png

from nae_tf.data.readers import paths


def png():
    return tf.io.encode_png(random_images(16, 16, 3)).numpy()


def jpeg():
    return tf.io.encode_jpeg(random_images(64, 64, 3)).numpy()


def half(data):
    return data[: len(data) // 2]


def with_changed_byte(data):
    return data[:60] + bytes([data[60] ^ 255]) + data[61:]


# File name: bytes.
DAMAGED = {
    "no_image.png": lambda: b"hello",
    "half.png": lambda: half(png()),
    "half.jpg": lambda: half(jpeg()),
    "changed.png": lambda: with_changed_byte(png()),
}


def damaged(name):
    def call(tmp_path):
        folder = write_folder(tmp_path / "good", random_images(3, 16, 16, 3))
        (tmp_path / "good" / name).write_bytes(DAMAGED[name]())
        paths.read_files(folder, image_shape=(16, 16, 3))

    return call


def odd_among_others(shape, image_shape=None):
    def call(tmp_path):
        folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
        write_png(tmp_path / "good" / "odd.png", random_images(*shape))
        paths.read_files(folder, image_shape=image_shape)

    return call


def notes_among_images(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
    (tmp_path / "good" / "notes.txt").write_text("x")
    paths.read_files(folder)


def folder_within_itself(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
    (tmp_path / "good" / "again").symlink_to(tmp_path / "good")
    paths.read_files(folder)


def whole_benchmark(tmp_path):
    for part in ("train/good", "test/good", "test/broken"):
        write_folder(tmp_path / "bottle" / part, random_images(3, 4, 4, 3))
    paths.read_files(str(tmp_path / "bottle"))


def photograph_of_a_camera(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
    (tmp_path / "good" / "IMG_1.HEIC").write_bytes(b"x")
    paths.read_files(folder)


def other_depth_among_others(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
    write_png(tmp_path / "good" / "odd.png", np.zeros((4, 4, 3), np.uint16))
    paths.read_files(folder)


def empty_file(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
    (tmp_path / "good" / "empty.png").write_bytes(b"")
    paths.read_files(folder)


def empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    paths.read_files(str(tmp_path / "empty"))


CASES = {
    "a folder within itself": (
        folder_within_itself,
        "good/again is a link to a folder that contains it; remove it",
    ),
    **{
        name: (damaged(name), f"{name} is not an image or is damaged")
        for name in DAMAGED
    },
    "a grey one among others": (
        odd_among_others((4, 4, 1)),
        r"odd.png has the shape \(4, 4, 1\)",
    ),
    "a transparent one": (
        odd_among_others((4, 4, 4)),
        r"odd.png has 4 channels and is transparent .* expected 1 or 3",
    ),
    "a whole benchmark": (
        whole_benchmark,
        "bottle has the subfolders train and test; name the folder of one",
    ),
    "an empty file": (empty_file, "empty.png is empty; remove it"),
    "a photograph of a telephone": (
        photograph_of_a_camera,
        r"IMG_1.HEIC is not an image .*; convert it to PNG",
    ),
    "another depth among others": (
        other_depth_among_others,
        "odd.png has values of type uint16, but .* uint8; convert all",
    ),
    "a grey one for a model of colours": (
        odd_among_others((4, 4, 1), (4, 4, 3)),
        r"odd.png has 1 channels, expected 3",
    ),
    "a higher one among others": (
        odd_among_others((5, 4, 3)),
        r"odd.png has the shape \(5, 4, 3\)",
    ),
    "another kind of file": (notes_among_images, "notes.txt is not an image"),
    "an empty folder": (empty_folder, "empty holds no image"),
    "a pattern that fits nothing": (
        lambda tmp_path: paths.read_files(str(tmp_path / "missing*.npy")),
        "no file or folder .*missing",
        FileNotFoundError,
    ),
    "no path": (lambda: paths.read_files([]), "empty list"),
}
