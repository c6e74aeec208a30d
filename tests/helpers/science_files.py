"""Files of HDF5 and its conventions, and how to read one."""

import h5py
import numpy as np

from nae_tf.data.readers.arrays import read_array
from nae_tf.data.readers.columns import Columns


def read(path, key=None, label_key=None, drop=(), names=None):
    """All examples of a file."""
    columns = Columns(drop=drop, names=names)
    return read_array(path, key, label_key, columns=columns)


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
