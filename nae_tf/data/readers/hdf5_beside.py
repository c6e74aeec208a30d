"""What stands beside an array of HDF5: names of its columns, and a mask.

Links may lead out of the file, and virtual arrays, too; none is followed.
"""

import contextlib

from nae_tf.base.feature_names import Names
from nae_tf.data.readers.doubtful import mask_names, warn_of_mask
from nae_tf.data.readers.names_beside import (
    LONGEST,
    auxiliary_coordinates,
    is_list_of_columns,
    names_of_coordinate,
    only_names,
    texts_of,
)


def axis_names(dataset) -> Names | None:
    """Names of the columns of an array by netCDF's coordinate of that axis."""
    import h5py

    if dataset.ndim != 2:
        return None
    for scale in dataset.dims[1].values():
        if scale.is_virtual or scale.external:
            continue
        if scale.dtype == "S1" and scale.shape[:-1] == dataset.shape[1:]:
            return tuple(texts_of(scale[...]).tolist())
        if scale.shape != dataset.shape[1:]:
            continue
        if h5py.check_string_dtype(scale.dtype) is not None:
            return tuple(scale.asstr()[...].tolist())
        if names := names_of_coordinate(scale[...], dict(scale.attrs)):
            return names
    return None


def names_beside(dataset, width: int) -> Names | None:
    """Names of the columns of an array by an attribute, or by its neighbour.

    Args:
        dataset: the array.
        width: number of its columns.
    """
    import h5py

    lists = []
    for name in filter(is_list_of_columns, dataset.attrs):
        with contextlib.suppress(OSError, TypeError, ValueError):
            lists.append(dataset.attrs[name])
    group = dataset.parent
    beside = [*filter(is_list_of_columns, group)]
    if dataset.shape[0] != width:  # Else they may be of the rows.
        beside += auxiliary_coordinates(dataset.attrs)
    for name in beside:
        # Links and virtual arrays may lead out of the file.
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        shape = getattr(item, "shape", None)
        if (
            shape is None
            or item.dtype.itemsize > LONGEST
            or item.is_virtual
            or item.external
        ):
            continue
        with contextlib.suppress(OSError, TypeError, ValueError):
            if shape == (width,):
                lists.append(item[...])
            elif item.dtype == "S1" and shape[:-1] == (width,):
                lists.append(texts_of(item[...]))
    return only_names(lists, width)


def warn_of_masks(title, dataset):
    """Warn of truth values beside an array, as of a masked one."""
    import h5py

    group = dataset.parent
    key = dataset.name.rpartition("/")[2]
    for name in mask_names(key):
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            item = group[name]
            is_alike = getattr(item, "shape", None) == dataset.shape
            if is_alike and item.dtype == bool:
                warn_of_mask(title, name)
