"""Files of HDF5 and its conventions, and how to read one."""

import h5py
import numpy as np
import pytest

from nae_tf.data.readers.arrays import read_array
from nae_tf.data.readers.columns import Columns


def read(
    path, key=None, label_key=None, drop=(), names=None, linked_files=False
):
    """All examples of a file."""
    columns = Columns(drop=drop, names=names, linked_files=linked_files)
    return read_array(path, key, label_key, columns=columns)


def refused(message, path, *arguments, **settings):
    """Assert that a file is refused in one line that names it."""
    with pytest.raises(ValueError, match=f"{path.name}.*{message}") as caught:
        read(path, *arguments, **settings)
    assert "\n" not in str(caught.value)


def write_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def write_matlab(path, **arrays):
    """What MATLAB's save(..., "-v7.3") writes, as far as readers look."""
    kinds = {"f8": "double", "f4": "single", "u1": "uint8", "u2": "char"}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            values = np.asarray(values)
            kind = kinds.get(values.dtype.str[1:], "logical")
            stored = values.astype(np.uint8) if kind == "logical" else values
            item = file.create_dataset(name, data=stored.T)
            item.attrs["MATLAB_class"] = np.bytes_(kind)
    contents = bytearray(path.read_bytes())
    contents[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(contents)
    return path


def write_pandas_fixed(path, blocks, key="df"):
    """A DataFrame as pandas.DataFrame.to_hdf writes it.

    Args:
        path: the file.
        blocks: arrays [rows, columns] and the names of their columns.
        key: name of the table.
    """
    with h5py.File(path, "w") as file:
        group = file.create_group(key)
        group.attrs["pandas_type"] = np.bytes_("frame")
        group.attrs["encoding"] = np.bytes_("UTF-8")
        group.attrs["nblocks"] = len(blocks)
        names = [name for _, block in blocks for name in block]
        group["axis0"] = np.array(sorted(names), dtype="S")
        group["axis1"] = np.arange(len(blocks[0][0]))
        for number, (values, block) in enumerate(blocks):
            group[f"block{number}_items"] = np.array(block, dtype="S")
            group[f"block{number}_values"] = values
            group[f"block{number}_values"].attrs["transposed"] = 1
    return path


def write_dicom(path, pixels, bits, photometric="MONOCHROME2", **elements):
    """A DICOM file of one image, or of frames, and further elements."""
    pydicom = pytest.importorskip("pydicom")
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    file.SOPClassUID = pydicom.uid.CTImageStorage
    file.SOPInstanceUID = "1.2.3"
    file.Rows, file.Columns = pixels.shape[-2:]
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = photometric
    file.BitsAllocated = 8 * pixels.itemsize
    file.BitsStored, file.HighBit = bits, bits - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in elements.items():
        setattr(file, name, value)
    file.PixelData = pixels.tobytes()
    file.save_as(path, enforce_file_format=True)
    return path
