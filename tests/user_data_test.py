"""Tests of nae_tf/user_data.py, image_files.py and array_files.py."""

import csv
import gzip
import pathlib
import re

import gin
import numpy as np
import pytest
import tensorflow as tf

from nae_tf import examples, user_data


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(image).numpy())


def write_folder(folder, images):
    for index, image in enumerate(images):
        write_png(folder / f"{index:03}.png", image)
    return str(folder)


def everything(files):
    split = files.select("all", np.arange(files.size))
    return np.concatenate(list(split.batches(64).as_numpy_iterator()))


def hashes(split):
    return {x.tobytes() for x in examples.to_array(split.stored())}


def refuses(error, message, function, *args, **kwargs):
    """The call fails with one line that matches."""
    with pytest.raises(error, match=message) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)


# Tasks.


def test_a_folder_is_split_at_random_and_completely(tmp_path):
    images = random_images(50, 6, 5, 3)
    folder = write_folder(tmp_path / "good", images)
    task = user_data.user_data(folder)
    splits = [task.train, task.validation, task.test]
    assert [split.size for split in splits] == [35, 5, 10]
    assert all(split.num_levels == 256 for split in splits)
    assert task.example_shape == (6, 5, 3)
    assert set.union(*map(hashes, splits)) == {x.tobytes() for x in images}
    assert hashes(task.test) != {x.tobytes() for x in images[40:]}
    again, other = (
        user_data.user_data(folder, split_seed=seed) for seed in (0, 1)
    )
    assert hashes(again.test) == hashes(task.test)
    assert hashes(other.test) != hashes(task.test)


def test_outliers_and_selection_are_read_whole(tmp_path):
    good, scratch, stain = (
        random_images(size, 4, 4, 1, seed=size) for size in (20, 7, 3)
    )
    task = user_data.user_data(
        inliers=write_folder(tmp_path / "good", good),
        outliers={"scratch": write_folder(tmp_path / "scratch", scratch)},
        selection={"stain": write_folder(tmp_path / "stain", stain)},
    )
    assert hashes(task.outliers["scratch"]) == {x.tobytes() for x in scratch}
    assert hashes(task.selection["stain"]) == {x.tobytes() for x in stain}


def test_images_are_selected_on_constant_gray_and_vectors_on_nothing(tmp_path):
    np.save(tmp_path / "images.npy", random_images(20, 8, 8))
    np.save(tmp_path / "vectors.npy", np.zeros((20, 3)))
    images = user_data.user_data(str(tmp_path / "images.npy"))
    assert list(images.selection) == ["constant_gray"]
    assert images.selection["constant_gray"].shape == (8, 8, 1)
    assert not user_data.user_data(str(tmp_path / "vectors.npy")).selection


def test_a_class_of_a_folder_is_held_out(tmp_path):
    for label in ("rose", "tulip", "daisy"):
        write_folder(
            tmp_path / label, random_images(20, 4, 4, 3, seed=len(label))
        )
    task = user_data.user_data_holdout(str(tmp_path), "rose")
    splits = [task.train, task.validation, task.test]
    assert [split.size for split in splits] == [28, 4, 8]
    rose = {x.tobytes() for x in random_images(20, 4, 4, 3, seed=4)}
    assert hashes(task.outliers["rose"]) == rose
    assert not set.union(*map(hashes, splits)) & rose


def test_a_class_of_labelled_arrays_is_held_out(tmp_path):
    path = str(tmp_path / "a.npz")
    x, y = random_images(40, 4, 4, 1), np.arange(40) % 4
    np.savez(path, x=x, y=y)
    task = user_data.user_data_holdout(path, 3, label_key="y")
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
        files = user_data.read_files(str(tmp_path / name), key)
        np.testing.assert_allclose(
            everything(files), images / 255, atol=1e-6, err_msg=name
        )


def write_tfrecord(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            features = {}
            for name, value in record.items():
                if isinstance(value, bytes):
                    feature = tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[value])
                    )
                else:
                    feature = tf.train.Feature(
                        float_list=tf.train.FloatList(value=value)
                    )
                features[name] = feature
            example = tf.train.Example(
                features=tf.train.Features(feature=features)
            )
            writer.write(example.SerializeToString())


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
        files = user_data.read_files(str(tmp_path / name), label_key="y")
        np.testing.assert_allclose(everything(files), x, err_msg=name)
        np.testing.assert_array_equal(files.labels, y, err_msg=name)


def test_float_images_keep_their_values(tmp_path):
    images = np.random.default_rng(0).uniform(size=(7, 3, 3, 2))
    np.save(tmp_path / "a.npy", images)
    files = user_data.read_files(str(tmp_path / "a.npy"))
    np.testing.assert_allclose(everything(files), images, rtol=1e-6)
    assert files.select("a", np.arange(7)).num_levels is None


def test_a_table_without_header_keeps_its_first_line(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n5,1e-3\n\n")
    files = user_data.read_files(str(tmp_path / "a.csv"))
    np.testing.assert_allclose(
        everything(files), [[1.0, 2.0], [3.0, 4.0], [5.0, 1e-3]]
    )


def test_several_paths_and_patterns_are_read_in_order(tmp_path):
    for index in range(4):
        np.save(tmp_path / f"part{index}.npy", np.full((2, 3), index))
    files = user_data.read_files(
        [str(tmp_path / "part[12].npy"), str(tmp_path / "part0.npy")]
    )
    np.testing.assert_array_equal(everything(files)[:, 0], [1, 1, 2, 2, 0, 0])


def test_images_of_other_sizes_are_resized_on_request(tmp_path):
    write_png(tmp_path / "a" / "1.png", np.full((9, 9, 3), 51, np.uint8))
    write_png(tmp_path / "a" / "2.png", np.full((4, 6, 3), 102, np.uint8))
    np.save(tmp_path / "a.npy", np.full((2, 9, 9, 3), 51, np.uint8))
    folder = user_data.read_files(str(tmp_path / "a"), image_shape=(6, 6, 3))
    images = everything(folder)
    assert images.shape == (2, 6, 6, 3)
    np.testing.assert_allclose(images[0], 0.2, atol=1e-6)
    np.testing.assert_allclose(images[1], 0.4, atol=1e-6)
    arrays = user_data.read_files(
        str(tmp_path / "a.npy"), image_shape=(6, 6, 3)
    )
    np.testing.assert_allclose(everything(arrays), np.full((2, 6, 6, 3), 0.2))


def test_a_large_folder_is_streamed_and_gives_the_same_images(
    tmp_path, monkeypatch
):
    images = random_images(20, 6, 5, 1)
    folder = write_folder(tmp_path / "good", images)
    in_memory = user_data.user_data(folder, image_shape=(4, 4, 1))
    monkeypatch.setattr(examples, "MAX_BYTES_IN_MEMORY", 100)
    streamed = user_data.user_data(folder, image_shape=(4, 4, 1))
    assert isinstance(streamed.train, examples.StreamedExamples)
    assert isinstance(in_memory.train, examples.ArrayExamples)
    for split in ("train", "test"):
        np.testing.assert_array_equal(
            examples.to_array(getattr(streamed, split).stored()),
            examples.to_array(getattr(in_memory, split).stored()),
        )
    first = next(iter(streamed.train.training_batches(4, seed=0)))
    assert first.shape == (4, 4, 4, 1)


def test_hidden_files_are_no_data(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 1))
    (tmp_path / "good" / ".DS_Store").write_bytes(b"")
    (tmp_path / "good" / ".thumbnails").mkdir()
    (tmp_path / "good" / ".thumbnails" / "x.txt").write_bytes(b"")
    assert user_data.read_files(folder).size == 3


# Errors.


def damaged_files():
    png = tf.io.encode_png(random_images(16, 16, 3)).numpy()
    jpeg = tf.io.encode_jpeg(random_images(64, 64, 3)).numpy()
    return {
        "no_image.png": b"hello",
        "empty.png": b"",
        "half.png": png[: len(png) // 2],
        "half.jpg": jpeg[: len(jpeg) // 2],
        "changed.png": png[:60] + bytes([png[60] ^ 255]) + png[61:],
    }


@pytest.mark.parametrize("name", damaged_files())
def test_a_damaged_image_is_named(tmp_path, name):
    folder = write_folder(tmp_path / "good", random_images(3, 16, 16, 3))
    (tmp_path / "good" / name).write_bytes(damaged_files()[name])
    refuses(
        ValueError,
        f"{name} is not an image or is damaged",
        user_data.read_files,
        folder,
        image_shape=(16, 16, 3),
    )


@pytest.mark.parametrize(
    ("odd", "image_shape", "message"),
    [
        ((4, 4, 1), None, r"odd.png has the shape \(4, 4, 1\)"),
        ((4, 4, 4), None, r"odd.png has 4 channels, expected 1 or 3"),
        ((4, 4, 1), (4, 4, 3), r"odd.png has 1 channels, expected 3"),
        ((5, 4, 3), None, r"odd.png has the shape \(5, 4, 3\)"),
    ],
)
def test_an_image_unlike_the_others_is_named(
    tmp_path, odd, image_shape, message
):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
    write_png(tmp_path / "good" / "odd.png", random_images(*odd))
    refuses(
        ValueError,
        message,
        user_data.read_files,
        folder,
        image_shape=image_shape,
    )


def test_another_kind_of_file_among_images_is_named(tmp_path):
    folder = write_folder(tmp_path / "good", random_images(3, 4, 4, 3))
    (tmp_path / "good" / "notes.txt").write_text("x")
    refuses(
        ValueError, "notes.txt is not an image", user_data.read_files, folder
    )


def npy(values):
    def write(path):
        np.save(path, values)

    return write


def npz(**arrays):
    def write(path):
        np.savez(path, **arrays)

    return write


def text(contents):
    def write(path):
        path.write_text(contents)

    return write


def raw(contents):
    def write(path):
        path.write_bytes(contents)

    return write


_NAN = np.array([[0.0, 1.0], [2.0, np.nan], [np.inf, 0.0]])


@pytest.mark.parametrize(
    ("name", "write", "arguments", "message"),
    [
        ("a.npy", npy(_NAN), {}, "2 of 3 examples have NaN .* number 1 "),
        ("a.npy", npy(np.full((2, 2), 1e300)), {}, "NaN or infinite"),
        ("a.npy", npy(np.zeros(3)), {}, r"expected vectors .*\(3,\)"),
        ("a.npy", npy(np.zeros((0, 3))), {}, r"expected vectors .*\(0, 3\)"),
        ("a.npy", npy(np.full((2, 4, 4), 1.5)), {}, r"must lie in \[0, 1\]"),
        (
            "a.npy",
            npy(np.zeros((2, 4, 4), np.int32)),
            {},
            "expected uint8 or floats, got int32",
        ),
        ("a.npy", npy([["a"]]), {}, "expected numbers, got <U1"),
        ("a.npy", npy(np.zeros((2, 3))), {"label_key": "y"}, "has no labels"),
        (
            "a.npy",
            npy(np.zeros((2, 4, 4, 3), np.uint8)),
            {"image_shape": (8, 8, 1)},
            "images of 3 channels, expected 1",
        ),
        (
            "a.npy",
            npy(np.zeros((2, 4, 4))),
            {"image_shape": (8, 8, 1)},
            "only uint8 images are resized",
        ),
        ("a.npy", raw(b"\x93NUMPY"), {}, "is not a .npy file"),
        ("a.npy", raw(b"hello"), {}, "is not a .npy file"),
        ("a.npy", raw(b""), {}, "a.npy is empty"),
        ("a.npz", raw(b"hello"), {}, "is not a .npz file"),
        ("a.npz", npz(x=[1], z=[2]), {}, r"arrays \['x', 'z'\]; set key"),
        ("a.npz", npz(x=[[1]]), {"key": "q"}, r"has no 'q'; it has \['x'\]"),
        (
            "a.npz",
            npz(x=np.zeros((3, 2)), y=[1, 2]),
            {"label_key": "y"},
            r"3 examples, but labels of shape \(2,\)",
        ),
        ("a.csv", raw(b""), {}, "a.csv is empty"),
        ("a.csv", text("a,b\n"), {}, "expected vectors"),
        (
            "a.csv",
            text("a,b\n1,2\n3\n"),
            {},
            "line 3: expected 2 fields, got 1",
        ),
        ("a.csv", text("a,b\n1,2\n3,x\n"), {}, "line 3: .*'x'"),
        ("a.csv", text("1,2\n3,\n"), {}, "line 2: "),
        ("a.csv", text("1,x\n3,4\n"), {}, "line 1: .* got both"),
        ("a.csv", text("a,b\n1,nan\n"), {}, "NaN or infinite"),
        ("a.csv", text("a,b\n1,2\n"), {"label_key": "c"}, "has no 'c'"),
        ("a.csv", raw(b"\xff\xfe\x00"), {}, "is not a CSV file"),
        ("a.h5", raw(b"hello"), {}, "is not an HDF5 file"),
        ("a.tfrecord", raw(b"hello"), {}, "is damaged or no TFRecord file"),
        ("a.parquet", raw(b"hello"), {}, "expected a folder of images or"),
    ],
)
def test_bad_files_are_named_with_the_reason(
    tmp_path, name, write, arguments, message
):
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    write(tmp_path / name)
    path = str(tmp_path / name)
    refuses(
        ValueError,
        re.escape(name) + f".*{message}" if name not in message else message,
        user_data.read_files,
        path,
        **arguments,
    )


def test_a_damaged_archive_of_arrays_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(1_000.0).reshape(100, 10))
    contents = bytearray(path.read_bytes())
    contents[600] ^= 255
    path.write_bytes(contents)
    refuses(ValueError, "a.npz cannot be read", user_data.read_files, str(path))


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}, {}]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([{}, {}]))
    for name in ("a.npy", "a.npz"):
        refuses(ValueError, name, user_data.read_files, str(tmp_path / name))


def test_hdf5_without_the_named_key_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        file["jets/images"] = np.zeros((2, 3))
        file["jets/mass"] = np.zeros(2)
    refuses(
        ValueError,
        r"a.h5 has no 'x'; it has \['jets/images', 'jets/mass'\]",
        user_data.read_files,
        path,
        key="x",
    )
    refuses(ValueError, "set key to the one", user_data.read_files, path)


@pytest.mark.parametrize(
    ("records", "arguments", "message"),
    [
        ([{"x": [1.0]}, {"z": [1.0]}], {}, "record 1 has no 'x'"),
        ([{"x": [1.0]}, {"x": [1.0, 2.0]}], {}, r"record 1 has the shape \(2,"),
        ([{"x": [1.0], "z": [1.0]}], {}, r"record 0 has the arrays \['x', 'z'"),
        ([{"x": b"hello"}], {}, "record 0 is not an image or is damaged"),
        ([{"x": [1.0]}], {"label_key": "y"}, "record 0 has no 'y'"),
        (
            [{"x": [1.0], "y": [1.0, 2.0]}],
            {"label_key": "y"},
            "record 0: expected one value of 'y', got 2",
        ),
    ],
)
def test_bad_records_are_named(tmp_path, records, arguments, message):
    write_tfrecord(tmp_path / "a.tfrecord", records)
    refuses(
        ValueError,
        message,
        user_data.read_files,
        str(tmp_path / "a.tfrecord"),
        **arguments,
    )


def test_a_truncated_tfrecord_is_refused(tmp_path):
    path = tmp_path / "a.tfrecord"
    write_tfrecord(path, [{"x": [1.0, 2.0]}] * 3)
    whole = path.read_bytes()
    size = len(whole) // 3
    for end in (-5, 2 * size + 12, 2 * size + 11, 2 * size + 3):
        path.write_bytes(whole[:end])
        refuses(ValueError, "is damaged", user_data.read_files, str(path))
    path.write_bytes(gzip.compress(whole))
    refuses(ValueError, "is damaged", user_data.read_files, str(path))


def test_files_of_different_shapes_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    np.save(tmp_path / "b.npy", np.zeros((2, 4)))
    pattern = str(tmp_path / "*.npy")
    refuses(ValueError, "one shape and type", user_data.read_files, pattern)
    np.save(tmp_path / "b.npy", np.zeros((2, 3)))
    assert user_data.read_files(pattern).size == 4


def test_paths_that_lead_nowhere_are_named(tmp_path):
    refuses(
        FileNotFoundError,
        "no file or folder .*missing",
        user_data.read_files,
        str(tmp_path / "missing*.npy"),
    )
    (tmp_path / "empty").mkdir()
    refuses(
        ValueError,
        "empty holds no image",
        user_data.read_files,
        str(tmp_path / "empty"),
    )
    refuses(ValueError, "empty list", user_data.read_files, [])


def test_a_class_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 2)), y=np.arange(20) % 3)
    path = str(tmp_path / "a.npz")
    refuses(
        ValueError,
        r"a.npz has no class '7'; it has \['0', '1', '2'\]",
        user_data.user_data_holdout,
        path,
        7,
        label_key="y",
    )
    refuses(
        ValueError,
        "has no classes; set label_key",
        user_data.user_data_holdout,
        path,
        1,
        key="x",
    )


def test_too_few_examples_to_split_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    refuses(
        ValueError,
        "4 inliers cannot be split into 0 for validation",
        user_data.user_data,
        str(tmp_path / "a.npy"),
    )


def test_outliers_of_another_shape_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 2)))
    np.save(tmp_path / "b.npy", np.zeros((20, 3)))
    refuses(
        ValueError,
        "scratch has examples of shape",
        user_data.user_data,
        str(tmp_path / "a.npy"),
        {"scratch": str(pathlib.Path(tmp_path / "b.npy"))},
    )
