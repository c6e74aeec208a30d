"""What bytes of strangers go through, and where they may end.

A target takes any bytes. It reads them, or refuses them by one line of an error
that is documented; everything else, it raises.
"""

import hashlib
import io
import json
import pathlib
import tempfile
import warnings
import zlib

import h5py
import numpy as np
import tensorflow as tf
from PIL import Image

from nae_tf.data import read_files
from nae_tf.data.schema import Schema, SetRecord
from nae_tf.runs import configuration
from nae_tf.runs.checkpoints import DamagedCheckpointError, verified
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.monitor import Monitor

REFUSALS = (ValueError, FileNotFoundError)
CALIBRATION = Calibration(np.linspace(0.0, 1.0, 9))
X = np.arange(12.0).reshape(4, 3)


def one_line(call, *arguments):
    """Call a function that may refuse its arguments in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(*arguments)
    except REFUSALS as error:
        text = str(error)
        assert "\n" not in text.replace("\r", "\n"), text
        assert len(text) < 2_000, text
        return None


def reader(name, **arguments):
    """Read bytes as a file of a name."""

    def read(data):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.write_bytes(data)
            one_line(lambda: read_files(str(path), **arguments))

    return read


def parser(parse):
    """Parse bytes as text of UTF-8."""
    return lambda data: one_line(parse, data.decode(errors="replace"))


def manifest(data):
    """Read a manifest whose own digest is right, whatever it says."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return
    text = json.dumps(body, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "manifest.json").write_text(
            json.dumps({"sha256": digest, "body": body})
        )
        try:
            verified(path)
        except DamagedCheckpointError as error:
            assert "\n" not in str(error)


def binding(data):
    """Set a parameter to a value that is any text."""
    text = data.decode(errors="replace").replace("\n", " ")
    try:
        one_line(configuration.parse_config, [], [f"NAE.seed = {text}"])
    finally:
        configuration.gin.clear_config()


def npy():
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


def npz():
    file = io.BytesIO()
    np.savez_compressed(file, x=X, y=np.arange(4))
    return file.getvalue()


def hdf5():
    file = io.BytesIO()
    with h5py.File(file, "w") as out:
        out.create_dataset("x", data=X, chunks=(2, 3), compression="gzip")
    return file.getvalue()


def tfrecord():
    feature = tf.train.Feature(
        float_list=tf.train.FloatList(value=[1.0, 2.0, 3.0])
    )
    example = tf.train.Example(
        features=tf.train.Features(feature={"x": feature})
    )
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            for _ in range(2):
                writer.write(example.SerializeToString())
        return pathlib.Path(file.name).read_bytes()


def png():
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(file, "PNG")
    return file.getvalue()


def image(data):
    """Read a folder of one image."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "a.png").write_bytes(data)
        one_line(read_files, folder)


SCHEMA = Schema(
    (3,),
    names=("a", "b", "c"),
    value_range=(0.0, 1.0),
    sets={"training": SetRecord(2, "ff")},
    files={"a.csv": 2},
)
MANIFEST = {"progress": {"epoch": 1, "records": {"a": 1}}, "files": {"a": "f"}}
# Name: the target, and a valid input.
TARGETS = {
    "csv": (reader("a.csv"), b"a,b,c\n1,2,3\n4,5,6.5\n"),
    "labelled": (
        reader("a.csv", label_key="kind"),
        b'x,y,kind\n1,2,"a"\n3,4,b\n',
    ),
    "npy": (reader("a.npy"), npy()),
    "npz": (reader("a.npz", key="x", label_key="y"), npz()),
    "hdf5": (reader("a.h5", key="x"), hdf5()),
    "tfrecord": (reader("a.tfrecord", key="x"), tfrecord()),
    "image": (image, png()),
    "gin": (binding, b"@x/NAE() "),
    "calibration": (
        parser(Calibration.from_json),
        CALIBRATION.to_json().encode(),
    ),
    "schema": (parser(Schema.from_json), SCHEMA.to_json().encode()),
    "monitor": (
        parser(lambda text: Monitor.from_json(text, CALIBRATION)),
        Monitor(CALIBRATION).to_json().encode(),
    ),
    "manifest": (manifest, json.dumps(MANIFEST).encode()),
    "gzip": (reader("a.csv.gz"), zlib.compress(b"a,b\n1,2\n3,4\n", wbits=31)),
}
