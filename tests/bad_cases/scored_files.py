"""Files of examples to be scored, which are read batch by batch."""

import h5py
import numpy as np

from bad_cases.array_files import text
from nae_tf.data.readers.stream import open_stream


def hdf5(values):
    def write(path):
        with h5py.File(path, "w") as out:
            out["x"] = values

    return write


def scored(name, write, message, example_shape=(4,)):
    """A row of the table: a file that is written, and read to be scored."""

    def call(tmp_path):
        write(tmp_path / name)
        stream = open_stream(str(tmp_path / name), example_shape, 2)
        for batch in stream.batches:
            batch.load()

    return call, rf"{name}.*{message}"


def damaged_hdf5(path):
    values = np.arange(4_000.0).reshape(1_000, 4)
    with h5py.File(path, "w") as out:
        out.create_dataset("x", data=values, chunks=(500, 4), fletcher32=True)
    contents = bytearray(path.read_bytes())
    contents[contents.index(values[600].tobytes())] ^= 255
    path.write_bytes(contents)


CASES = {
    "a line that counts the columns": scored(
        "a.csv",
        text("0,1,2,3\n5,6,7,8\n"),
        r"line 1 .*\(it counts the columns, 0 to 3\)",
    ),
    "a number with an underscore": scored(
        "a.csv", text("1,2\n3,0_4\n"), "line 2: .* numbers, received '0_4'"
    ),
    "semicolons": scored(
        "a.csv",
        text("a;b\n0.5;1\n0.5,1\n"),
        "line 1 has one column, 'a;b'; separate the fields",
    ),
    "a damaged first line": scored(
        "a.csv",
        text("0.1,N/A,0.3,0.4\n1,2,3,4\n5,6,7,8\n"),
        "line 1: expected numbers or names of columns, received both",
    ),
    "nothing but a damaged line": scored(
        "a.csv", text("1,2,3,x\n"), "line 1: .* received both"
    ),
    "a short line of a later batch": scored(
        "a.csv", text("1,2\n3,4\n5\n"), "line 3: expected 2 fields, .*ved 1"
    ),
    "bright images": scored(
        "a.h5",
        hdf5(np.full((5, 3, 3, 1), 255.0)),
        r"expected float images in \[0, 1\], received 255",
        (3, 3, 1),
    ),
    "images of int32": scored(
        "a.h5",
        hdf5(np.ones((5, 3, 3, 1), np.int32)),
        "expected uint8, uint16 or floats, received int32; set max_level",
        (3, 3, 1),
    ),
    "colours": scored(
        "a.h5",
        hdf5(np.ones((5, 3, 3, 3), np.uint8)),
        "images of 3 channels, expected 1",
        (3, 3, 1),
    ),
    "NaN": scored(
        "a.h5",
        hdf5(np.array([[0.0]] * 4 + [[np.nan]])),
        "1 of 1 examples .* number 4 ",
    ),
    "words": scored(
        "a.h5", hdf5([[b"a"]] * 3), "expected numbers, received object"
    ),
    "one number": scored("a.h5", hdf5(3.0), r"expected vectors .* shape \(\)"),
    "no number": scored(
        "a.h5", hdf5(h5py.Empty("f4")), r"expected vectors .* shape \(\)"
    ),
    "a damaged chunk": scored("a.h5", damaged_hdf5, "cannot be read"),
}
