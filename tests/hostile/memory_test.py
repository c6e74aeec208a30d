"""A small file that describes a large array is refused before it is unpacked.

The limit of these tests is a mebibyte and the arrays have 64, so that nothing
here is large; a guard that failed would show by what it took.
"""

import gzip
import struct
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
import tensorflow as tf

from nae_tf.data import read_files
from nae_tf.data.readers.memory import memory_limit
from nae_tf.data.readers.stream import open_stream

LIMIT = 2**20
ZEROS = np.zeros((2**17, 64))  # 64 MiB, of pages that are not touched.


def compressed(path):
    np.savez_compressed(path, x=ZEROS)


def labels_compressed(path):
    np.savez_compressed(path, x=np.zeros((2, 3)), y=ZEROS)


def hole(path):
    """A header, and nothing behind it that is on the disk."""
    np.save(path, ZEROS[:0])
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(
            file, np.lib.format.header_data_from_array_1_0(ZEROS)
        )
        file.truncate(file.tell() + ZEROS.nbytes)


def one_chunk(path):
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "x", ZEROS.shape, "f8", chunks=ZEROS.shape, compression="gzip"
        )
        # What compresses to less than a thousandth.
        made.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**26), 1))


def repeated_lines(path):
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"0,0,0,0\n" * 2**18)


def volume(path):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(ZEROS.reshape(512, 512, 32), np.eye(4))
    nibabel.save(image, path)


def frames(path):
    """Frames by run lengths, of which a few stand for all."""
    pydicom = pytest.importorskip("pydicom")
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = "1.2"
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = "1.3"
    file.Rows = file.Columns = 512
    file.NumberOfFrames = 256
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit, file.PixelRepresentation = 7, 0
    file.PixelData = pydicom.encaps.encapsulate([bytes(64)] * 256)
    file["PixelData"].VR = "OB"
    file.save_as(path, enforce_file_format=True)


def netcdf(path):
    from scipy.io import netcdf_file

    with netcdf_file(path, "w") as file:
        file.createDimension("row", 2)
        file.createVariable("x", "f8", ("row",))[:] = 1.0
    with path.open("r+b") as file:
        file.truncate(ZEROS.nbytes)


def repeated_rows(path):
    import pyarrow
    from pyarrow import parquet

    columns = {name: np.zeros(2**20) for name in "abcdefgh"}
    parquet.write_table(pyarrow.table(columns), path, compression="gzip")


FILES = {
    "a.npz": (compressed, {}),
    "labels.npz": (labels_compressed, {"key": "x", "label_key": "y"}),
    "a.npy": (hole, {}),
    "a.h5": (one_chunk, {}),
    "a.csv.gz": (repeated_lines, {}),
    "a.nii.gz": (volume, {}),
    "a.dcm": (frames, {}),
    "a.nc": (netcdf, {}),
    "a.parquet": (repeated_rows, {}),
}


@pytest.mark.parametrize("name", FILES)
def test_what_unpacks_to_more_than_the_limit_is_refused(
    name, tmp_path, monkeypatch
):
    write, arguments = FILES[name]
    write(tmp_path / name)
    monkeypatch.setenv("NAE_TF_MEMORY_LIMIT", str(LIMIT))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="are allowed") as caught:
            read_files(str(tmp_path / name), **arguments)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert peak < 16 * LIMIT


def test_what_is_smaller_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("NAE_TF_MEMORY_LIMIT", str(LIMIT))
    np.savez_compressed(tmp_path / "a.npz", x=ZEROS[:2_000])
    assert read_files(str(tmp_path / "a.npz")).size == 2_000


def test_the_limit_is_that_of_the_machine_or_as_set(monkeypatch):
    monkeypatch.delenv("NAE_TF_MEMORY_LIMIT", raising=False)
    assert 2**28 < memory_limit() < 2**50
    monkeypatch.setenv("NAE_TF_MEMORY_LIMIT", "2 GiB")
    with pytest.raises(ValueError, match="a number of bytes, received '2 GiB'"):
        memory_limit()


def png_of(width, height):
    """A file of a few bytes whose header promises an image."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


def test_an_image_of_many_pixels_is_refused_by_its_header(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(100_000, 100_000))
    message = "a.png has 100000 x 100000 pixels, more than 134217728"
    with pytest.raises(ValueError, match=message):
        read_files(str(tmp_path))
    with pytest.raises(ValueError, match="pixels, more than"):
        [batch] = open_stream(str(tmp_path), (8, 8, 1), 2).batches
        batch.load()


def test_compressed_records_are_measured_in_pieces(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        writer.write(bytes(2**25))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="Example"):
            read_files(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**27
