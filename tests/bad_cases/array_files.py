"""The user's files of arrays, tables and records."""

import gzip
import shutil
import zipfile

import h5py
import numpy as np
from data_files import write_tfrecord

from nae_tf.data import user_tasks
from nae_tf.data.readers import paths

NAN = np.array([[0.0, 1.0], [2.0, np.nan], [np.inf, 0.0]])
LABELLED = {"x": np.zeros((20, 2)), "y": np.arange(20) % 3}


def npy(values):
    return lambda path: np.save(path, values)


def npz(**arrays):
    return lambda path: np.savez(path, **arrays)


def renamed(write, true_suffix):
    """What `write` makes of a file of one kind, under another's name."""

    def call(path):
        other = path.with_name(f"other.{true_suffix}")
        write(other)
        shutil.move(other, path)

    return call


def archive(**members):
    def write(path):
        with zipfile.ZipFile(path, "w") as out:
            for name, contents in members.items():
                out.writestr(name, contents)

    return write


def header(shape):
    """A .npy file that claims an array, and has no more than that."""
    line = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n"
    size = len(line).to_bytes(2, "little")
    return raw(b"\x93NUMPY\x01\x00" + size + line.encode())


def member_with(offset, value):
    """An archive whose directory says something else of its array."""

    def write(path):
        np.savez(path, x=np.zeros((2, 3)))
        contents = bytearray(path.read_bytes())
        contents[contents.index(b"PK\x01\x02") + offset] = value
        path.write_bytes(contents)

    return write


def damaged_group(path):
    jets(path)
    path.write_bytes(path.read_bytes().replace(b"SNOD", b"XXXX"))


def text(contents):
    return lambda path: path.write_text(contents)


def raw(contents):
    return lambda path: path.write_bytes(contents)


def records(*contents):
    return lambda path: write_tfrecord(path, contents)


def file(name, write, message, **arguments):
    """A row of the table: a file that is written, read, and named."""

    def call(tmp_path):
        write(tmp_path / name)
        paths.read_files(str(tmp_path / name), **arguments)

    return call, rf"{name}.*{message}"


def damaged_archive(path):
    np.savez(path, x=np.arange(1_000.0).reshape(100, 10))
    contents = bytearray(path.read_bytes())
    contents[600] ^= 255
    path.write_bytes(contents)


def jets(path):
    with h5py.File(path, "w") as out:
        out["jets/images"] = np.zeros((2, 3))
        out["jets/mass"] = np.zeros(2)


def half_compressed(contents):
    return gzip.compress(contents)[:-12]


def three_records(damage):
    """Records of equal size, `damage` done to the bytes of all."""

    def write(path):
        write_tfrecord(path, [{"x": [1.0, 2.0]}] * 3)
        path.write_bytes(damage(path.read_bytes()))

    return write


def files_of_different_shapes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    np.save(tmp_path / "b.npy", np.zeros((2, 4)))
    paths.read_files(str(tmp_path / "*.npy"))


def held_out(*arguments, **settings):
    def call(tmp_path):
        np.savez(tmp_path / "a.npz", **LABELLED)
        path = str(tmp_path / "a.npz")
        user_tasks.user_data_holdout(path, *arguments, **settings)

    return call


def too_few_to_split(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    user_tasks.user_data(str(tmp_path / "a.npy"))


def outliers_named_by_a_number(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 2)))
    np.save(tmp_path / "b.npy", np.ones((20, 2)))
    user_tasks.user_data(str(tmp_path / "a.npy"), {1: str(tmp_path / "b.npy")})


def outliers_of_another_shape(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 2)))
    np.save(tmp_path / "b.npy", np.zeros((20, 3)))
    scratch = {"scratch": str(tmp_path / "b.npy")}
    user_tasks.user_data(str(tmp_path / "a.npy"), scratch)


CASES = {
    "NaN": file("a.npy", npy(NAN), "2 of 3 examples have NaN .* number 1 "),
    "beyond float32": file(
        "a.npy", npy(np.full((2, 2), 1e300)), "NaN or infinite"
    ),
    "a vector": file("a.npy", npy(np.zeros(3)), r"expected vectors .*\(3,\)"),
    "no examples": file(
        "a.npy", npy(np.zeros((0, 3))), r"expected vectors .*\(0, 3\)"
    ),
    "too large": file(
        "a.npy",
        npy(np.full((2, 4, 4), 1.5)),
        r"expected float images in \[0, 1\]",
    ),
    "too small": file(
        "a.npy",
        npy(np.full((2, 4, 4), -0.5)),
        r"expected float images in \[0, 1\]",
    ),
    "images of int32": file(
        "a.npy",
        npy(np.zeros((2, 4, 4), np.int32)),
        "expected uint8, uint16 or floats, received int32; set max_level",
    ),
    "words": file("a.npy", npy([["a"]]), "expected numbers, received <U1"),
    "no labels": file(
        "a.npy", npy(np.zeros((2, 3))), "has no labels", label_key="y"
    ),
    "colours": file(
        "a.npy",
        npy(np.zeros((2, 4, 4, 3), np.uint8)),
        "images of 3 channels, expected 1",
        image_shape=(8, 8, 1),
    ),
    "channels first": file(
        "a.npy",
        npy(np.zeros((5, 3, 8, 9), np.uint8)),
        r"as if channels came first; use np.moveaxis\(images, 1, -1\)",
    ),
    "one image of colours": file(
        "a.npy",
        npy(np.zeros((8, 9, 3), np.uint8)),
        r"looks like one image of colours; use image\[None\]",
    ),
    "floats up to 255": file(
        "a.npy",
        npy(np.full((2, 4, 4), 255.0)),
        r"\[0, 1\], received 255 ... 255; scale them, or set max_level",
    ),
    "floats to resize": file(
        "a.npy",
        npy(np.zeros((2, 4, 4))),
        "only images of levels are resized",
        image_shape=(8, 8, 1),
    ),
    "half a header": file("a.npy", raw(b"\x93NUMPY"), "is not a .npy file"),
    "no array": file("a.npy", raw(b"hello"), "is not a .npy file"),
    "empty": file("a.npy", raw(b""), "is empty"),
    "pickled objects": file(
        "a.npy", npy(np.array([{}, {}])), r"is not a \.npy file of numbers"
    ),
    "an archive by the name of an array": file(
        "a.npy", renamed(npz(x=np.zeros((2, 3))), "npz"), r"rename it to \*.npz"
    ),
    "an image shape of nothing": file(
        "a.npy",
        npy(np.zeros((2, 4, 4), np.uint8)),
        r"expected image_shape .*>= 1, received \(0, 0, 1\)",
        image_shape=(0, 0, 1),
    ),
    "an image shape without channels": file(
        "a.npy",
        npy(np.zeros((2, 4, 4), np.uint8)),
        r"expected image_shape .*received \(8, 8\)",
        image_shape=(8, 8),
    ),
    # --- Archives ---
    "an array by the name of an archive": file(
        "a.npz", renamed(npy(np.zeros((2, 3))), "npy"), r"rename it to \*.npy"
    ),
    "an archive of text": file(
        "a.npz", archive(notes="hello"), "'notes' in it is not an array"
    ),
    "an archive of nothing": file(
        "a.npz", archive(**{"x.npy": b""}), "'x(.npy)?' in it is not an array"
    ),
    "labels of text": file(
        "a.npz",
        archive(**{"x": b"", "y": b"hello"}),
        "'y' in it is not an array",
        key="x",
        label_key="y",
    ),
    "no archive": file("a.npz", raw(b"hello"), "is not a .npz file"),
    "two arrays": file(
        "a.npz", npz(x=[1], z=[2]), r"arrays \['x', 'z'\]; set key"
    ),
    "another array": file(
        "a.npz", npz(x=[[1]]), r"has no 'q'; it has \['x'\]", key="q"
    ),
    "too few labels": file(
        "a.npz",
        npz(x=np.zeros((3, 2)), y=[1, 2]),
        r"3 examples, but labels of shape \(2,\)",
        label_key="y",
    ),
    "an open bracket in a header": file(
        "a.npy", header("(2, 3"), "is not a .npy file"
    ),
    "no Python in a header": file(
        "a.npy", header("(2, 3) +"), "is not a .npy file"
    ),
    "more than any memory": file(
        "a.npy", header("(10000000000000, 2)"), "is cut off: it has 0 of 16000"
    ),
    "an unknown compression": file(
        "a.npz", member_with(10, 99), "cannot be read: .*compression"
    ),
    "an encrypted archive": file(
        "a.npz", member_with(8, 1), "cannot be read: .*encrypted"
    ),
    "a damaged group": file("a.h5", damaged_group, "cannot be read: "),
    "damaged archive": file("a.npz", damaged_archive, "cannot be read"),
    "archived objects": file(
        "a.npz", npz(x=np.array([{}, {}])), "allow_pickle=False"
    ),
    "another dataset": file(
        "a.h5",
        jets,
        r"has no 'x'; it has \['jets/images', 'jets/mass'\]",
        key="x",
    ),
    "two datasets": file("a.h5", jets, "set key to the one"),
    "no HDF5": file("a.h5", raw(b"hello"), "is not an HDF5 file"),
    "another format": file(
        "a.xlsx", raw(b"hello"), "expected a folder of images or"
    ),
    # --- Tables ---
    "empty table": file("a.csv", raw(b""), "is empty"),
    "nothing but a header": file("a.csv", text("a,b\n"), "has no rows"),
    "a short line": file(
        "a.csv", text("a,b\n1,2\n3\n"), "line 3: expected 2 fields, .*ved 1"
    ),
    "a word": file("a.csv", text("a,b\n1,2\n3,x\n"), "line 3: .*'x'"),
    "a missing value": file(
        "a.csv", text("1,2\n3,\n"), "column '1' has no value in line 2"
    ),
    "half a header line": file(
        "a.csv", text("1,x\n3,4\n"), "line 1: .* received both"
    ),
    "half a header line and no more": file(
        "a.csv", text("1,2,3,x\n"), "line 1: .* received both"
    ),
    "NaN in a table": file(
        "a.csv", text("a,b\n1,nan\n"), "column 'b' has no value in line 2"
    ),
    "another column": file(
        "a.csv", text("a,b\n1,2\n"), "has no 'c'", label_key="c"
    ),
    "no text": file("a.csv", raw(b"\xff\xfe\x00"), "begins as UTF-16, but"),
    # --- Records ---
    "no records": file(
        "a.tfrecord", raw(b"hello"), "is damaged or no TFRecord file"
    ),
    "another feature": file(
        "a.tfrecord",
        records({"x": [1.0]}, {"z": [1.0]}),
        "record 1 has no 'x'",
    ),
    "another length": file(
        "a.tfrecord",
        records({"x": [1.0]}, {"x": [1.0, 2.0]}),
        r"record 1 has the shape \(2,",
    ),
    "two features": file(
        "a.tfrecord",
        records({"x": [1.0], "z": [1.0]}),
        r"record 0 has the arrays \['x', 'z'",
    ),
    "a record that is no image": file(
        "a.tfrecord",
        records({"x": b"hello"}),
        "record 0 is not an image or is damaged",
    ),
    "a record without label": file(
        "a.tfrecord",
        records({"x": [1.0]}),
        "record 0 has no 'y'",
        label_key="y",
    ),
    "a record of two labels": file(
        "a.tfrecord",
        records({"x": [1.0], "y": [1.0, 2.0]}),
        "record 0: expected one value of 'y', received 2",
        label_key="y",
    ),
    **{
        f"records cut off in {name}": file(
            "a.tfrecord",
            three_records(
                lambda data, offset=offset: data[: len(data) // 3 * 2 + offset]
            ),
            "is damaged",
        )
        for name, offset in [
            ("a length", 3),
            ("a length's sum", 11),
            ("nothing but a length", 12),
            ("the last sum", -5),
        ]
    },
    "compressed records": file(
        "a.tfrecord", three_records(half_compressed), "ends within its GZIP"
    ),
    # --- Several files, tasks ---
    "files of different shapes": (
        files_of_different_shapes,
        "one shape and type",
    ),
    "another class": (
        held_out(7, label_key="y"),
        r"a.npz has no class '7'; it has \['0', '1', '2'\]",
    ),
    "a class without labels": (
        held_out(1, key="x"),
        "has no classes; set label_key",
    ),
    "too few to split": (
        too_few_to_split,
        "4 inliers cannot be split into 0 for validation",
    ),
    "outliers named by a number": (
        outliers_named_by_a_number,
        "name 1; put it into quotes",
    ),
    "outliers of another shape": (
        outliers_of_another_shape,
        "scratch has examples of shape",
    ),
}
