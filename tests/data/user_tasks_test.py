"""Tests of nae_tf/data/user_tasks.py and the readers of images and arrays."""

import csv
import dataclasses
import pathlib

import gin
import numpy as np
import pytest
import tensorflow as tf
from data_files import random_images, write_folder, write_png, write_tfrecord

from nae_tf.data import sources, user_tasks
from nae_tf.data.readers import paths


def everything(files):
    split = files.select("all", np.arange(files.size))
    return np.concatenate(list(split.batches(64).as_numpy_iterator()))


def hashes(split):
    return {x.tobytes() for x in sources.to_array(split.stored())}


# Tasks.


def test_a_task_says_how_many_examples_there_are_of_what(tmp_path):
    for name, count in {"a": 30, "b": 20, "scratch": 7}.items():
        write_folder(tmp_path / name, random_images(count, 6, 5, 3))
    task = user_tasks.user_data(
        [str(tmp_path / "a"), str(tmp_path / "b")],
        {"scratch": str(tmp_path / "scratch")},
        selection={},
    )
    assert task.counts() == [
        "35 training, 5 validation, 10 test inliers; 7 'scratch'",
        f"inliers: 30 in {tmp_path / 'a'}, 20 in {tmp_path / 'b'}",
    ]
    alone = user_tasks.user_data(str(tmp_path / "a"))
    assert alone.counts()[0].endswith(" inliers; no outliers")
    files = {f"{number}.csv": 1 for number in range(9)}
    (_, line) = dataclasses.replace(task, files=files).counts()
    assert line.endswith("1 in 4.csv, 4 more files")


def test_a_folder_is_split_at_random_and_completely(tmp_path):
    images = random_images(50, 6, 5, 3)
    folder = write_folder(tmp_path / "good", images)
    task = user_tasks.user_data(folder)
    splits = [task.train, task.validation, task.test]
    assert [split.size for split in splits] == [35, 5, 10]
    assert all(split.num_levels == 256 for split in splits)
    assert task.example_shape == (6, 5, 3)
    assert set.union(*map(hashes, splits)) == {x.tobytes() for x in images}
    assert hashes(task.test) != {x.tobytes() for x in images[40:]}
    again, other = (
        user_tasks.user_data(folder, split_seed=seed) for seed in (0, 1)
    )
    assert hashes(again.test) == hashes(task.test)
    assert hashes(other.test) != hashes(task.test)


def test_outliers_and_selection_are_read_whole(tmp_path):
    good, scratch, stain = (
        random_images(size, 4, 4, 1, seed=size) for size in (20, 7, 3)
    )
    task = user_tasks.user_data(
        inliers=write_folder(tmp_path / "good", good),
        outliers={"scratch": write_folder(tmp_path / "scratch", scratch)},
        selection={"stain": write_folder(tmp_path / "stain", stain)},
    )
    assert hashes(task.outliers["scratch"]) == {x.tobytes() for x in scratch}
    assert hashes(task.selection["stain"]) == {x.tobytes() for x in stain}


def test_a_test_split_of_its_own_is_kept(tmp_path):
    good, held_out, broken, chosen = (
        random_images(size, 4, 4, 1, seed=size) for size in (40, 12, 5, 9)
    )
    train = write_folder(tmp_path / "train" / "good", good)
    test = write_folder(tmp_path / "test" / "good", held_out)
    validation = write_folder(tmp_path / "validation", chosen)
    outliers = {"broken": write_folder(tmp_path / "test" / "broken", broken)}
    task = user_tasks.user_data(None, outliers, train=train, test=test)
    assert hashes(task.test) == {x.tobytes() for x in held_out}
    assert hashes(task.outliers["broken"]) == {x.tobytes() for x in broken}
    assert (task.train.size, task.validation.size) == (36, 4)
    together = hashes(task.train) | hashes(task.validation)
    assert together == {x.tobytes() for x in good}
    assert dict(task.files) == {train: 40, test: 12}
    task = user_tasks.user_data(train=train, validation=validation, test=test)
    assert hashes(task.train) == {x.tobytes() for x in good}
    assert hashes(task.validation) == {x.tobytes() for x in chosen}
    assert hashes(task.test) == {x.tobytes() for x in held_out}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({}, "not set: train, test"),
        ({"train": "a.npy"}, "not set: test"),
        ({"test": "a.npy"}, "not set: train"),
        ({"inliers": "a.npy", "test": "a.npy"}, "received both"),
    ],
    ids=["none", "no test", "no train", "both"],
)
def test_inliers_are_given_in_one_of_two_ways(paths, message):
    with pytest.raises(ValueError, match=message):
        user_tasks.user_data(**paths)


def test_images_are_selected_on_constant_gray_and_vectors_on_nothing(tmp_path):
    np.save(tmp_path / "images.npy", random_images(20, 8, 8))
    np.save(tmp_path / "vectors.npy", np.zeros((20, 3)))
    images = user_tasks.user_data(str(tmp_path / "images.npy"))
    assert list(images.selection) == ["constant_gray"]
    assert images.selection["constant_gray"].shape == (8, 8, 1)
    assert not user_tasks.user_data(str(tmp_path / "vectors.npy")).selection


def test_a_class_of_a_folder_is_held_out(tmp_path):
    for label in ("rose", "tulip", "daisy"):
        write_folder(
            tmp_path / label, random_images(20, 4, 4, 3, seed=len(label))
        )
    task = user_tasks.user_data_holdout(str(tmp_path), "rose")
    splits = [task.train, task.validation, task.test]
    assert [split.size for split in splits] == [28, 4, 8]
    rose = {x.tobytes() for x in random_images(20, 4, 4, 3, seed=4)}
    assert hashes(task.outliers["rose"]) == rose
    assert not set.union(*map(hashes, splits)) & rose


def test_a_class_of_labelled_arrays_is_held_out(tmp_path):
    path = str(tmp_path / "a.npz")
    x, y = random_images(40, 4, 4, 1), np.arange(40) % 4
    np.savez(path, x=x, y=y)
    task = user_tasks.user_data_holdout(path, 3, label_key="y")
    assert hashes(task.outliers["3"]) == {v.tobytes() for v in x[y == 3]}
    assert not hashes(task.train) & hashes(task.outliers["3"])


def test_tasks_are_built_by_one_gin_line(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 2)))
    gin.clear_config()
    try:
        gin.parse_config(f"user_data.inliers = '{tmp_path}/x.npy'")
        task = gin.get_configurable("user_data")()
    finally:
        gin.clear_config()
    assert [task.train.size, task.validation.size, task.test.size] == [21, 3, 6]


# Formats.


def test_formats_agree_on_images(tmp_path):
    images = random_images(6, 5, 4, 3)
    write_folder(tmp_path / "png", images)
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "a.npz", images=images)
    np.savez_compressed(tmp_path / "b.npz", x=images, other=np.zeros(2))
    write_tfrecord(
        tmp_path / "a.tfrecord",
        [{"image": tf.io.encode_png(image).numpy()} for image in images],
    )
    for name, key in [
        ("png", None),
        ("a.npy", None),
        ("a.npz", None),
        ("b.npz", "x"),
        ("a.tfrecord", None),
    ]:
        files = paths.read_files(str(tmp_path / name), key)
        np.testing.assert_allclose(
            everything(files), images / 255, atol=1e-6, err_msg=name
        )


def test_formats_agree_on_labelled_vectors(tmp_path):
    h5py = pytest.importorskip("h5py")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    y = ["cat", "dog"] * 4
    np.savez(tmp_path / "a.npz", x=x, y=y)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"] = x
        file["y"] = y
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x0", "y", "x1", "x2"])
        writer.writerows(
            [row[0], label, *row[1:]] for row, label in zip(x, y, strict=True)
        )
    write_tfrecord(
        tmp_path / "a.tfrecord",
        [
            {"x": row, "y": label.encode()}
            for row, label in zip(x, y, strict=True)
        ],
    )
    for name in ("a.npz", "a.h5", "a.csv", "a.tfrecord"):
        files = paths.read_files(str(tmp_path / name), label_key="y")
        np.testing.assert_allclose(everything(files), x, err_msg=name)
        np.testing.assert_array_equal(files.labels, y, err_msg=name)


def test_float_images_keep_their_values(tmp_path):
    images = np.random.default_rng(0).uniform(size=(7, 3, 3, 2))
    np.save(tmp_path / "a.npy", images)
    files = paths.read_files(str(tmp_path / "a.npy"))
    np.testing.assert_allclose(everything(files), images, rtol=1e-6)
    assert files.select("a", np.arange(7)).num_levels is None


def test_a_table_without_header_keeps_its_first_line(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n5,1e-3\n\n")
    files = paths.read_files(str(tmp_path / "a.csv"))
    np.testing.assert_allclose(
        everything(files), [[1.0, 2.0], [3.0, 4.0], [5.0, 1e-3]]
    )


def test_several_paths_and_patterns_are_read_in_order(tmp_path):
    for index in range(4):
        np.save(tmp_path / f"part{index}.npy", np.full((2, 3), index))
    files = paths.read_files(
        [str(tmp_path / "part[12].npy"), str(tmp_path / "part0.npy")]
    )
    np.testing.assert_array_equal(everything(files)[:, 0], [1, 1, 2, 2, 0, 0])
    some = files.select("some", np.array([1, 3, 4]))
    found = [some.origin(position) for position in range(3)]
    assert [pathlib.Path(text).name for text in found] == [
        "part1.npy, row 1",
        "part2.npy, row 1",
        "part0.npy, row 0",
    ]


def test_images_of_other_sizes_are_resized_on_request(tmp_path):
    write_png(tmp_path / "a" / "1.png", np.full((9, 9, 3), 51, np.uint8))
    write_png(tmp_path / "a" / "2.png", np.full((4, 6, 3), 102, np.uint8))
    np.save(tmp_path / "a.npy", np.full((2, 9, 9, 3), 51, np.uint8))
    folder = paths.read_files(str(tmp_path / "a"), image_shape=(6, 6, 3))
    images = everything(folder)
    last = folder.select("last", np.array([1]))
    assert last.origin(0) == str(tmp_path / "a" / "2.png")
    assert images.shape == (2, 6, 6, 3)
    np.testing.assert_allclose(images[0], 0.2, atol=1e-6)
    np.testing.assert_allclose(images[1], 0.4, atol=1e-6)
    arrays = paths.read_files(str(tmp_path / "a.npy"), image_shape=(6, 6, 3))
    np.testing.assert_allclose(everything(arrays), np.full((2, 6, 6, 3), 0.2))


def test_a_large_folder_is_streamed_and_gives_the_same_images(
    tmp_path, monkeypatch
):
    images = random_images(20, 6, 5, 1)
    folder = write_folder(tmp_path / "good", images)
    in_memory = user_tasks.user_data(folder, image_shape=(4, 4, 1))
    monkeypatch.setattr(sources, "MAX_BYTES_IN_MEMORY", 100)
    streamed = user_tasks.user_data(folder, image_shape=(4, 4, 1))
    assert isinstance(streamed.train, sources.StreamedExamples)
    assert isinstance(in_memory.train, sources.ArrayExamples)
    for split in ("train", "test"):
        np.testing.assert_array_equal(
            sources.to_array(getattr(streamed, split).stored()),
            sources.to_array(getattr(in_memory, split).stored()),
        )
    # Three epochs and a piece, and the same from a later step on.
    for start_step in (0, 5):
        batches, expected = (
            list(
                task.train.training_batches(4, seed=0, start_step=start_step)
                .take(11)
                .as_numpy_iterator()
            )
            for task in (streamed, in_memory)
        )
        assert batches[0].shape == (4, 4, 4, 1)
        np.testing.assert_array_equal(batches, expected)


def test_links_to_folders_are_followed(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 1))
    write_folder(tmp_path / "elsewhere", random_images(2, 4, 4, 1))
    for name in ("first", "second"):
        (tmp_path / "good" / name).symlink_to(tmp_path / "elsewhere")
    files = paths.read_files(folder)
    assert files.size == 3 + 2 + 2


def test_hidden_files_are_no_data(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 1))
    (tmp_path / "good" / ".DS_Store").write_bytes(b"")
    (tmp_path / "good" / ".thumbnails").mkdir()
    (tmp_path / "good" / ".thumbnails" / "x.txt").write_bytes(b"")
    assert paths.read_files(folder).size == 3
