"""What may be followed in an HDF5 file, and whether it was ever written.

Arrays can lie in other files: behind external links, in external storage, in
the sources of a virtual array. Reading such an array would hand out whatever
file its path names, so all of it is refused. On request, HDF5 files of the same
folder are followed (hdf5_linked_files.py); external storage never is.
"""

import math

import numpy as np

from nae_tf.base.feature_names import listed
from nae_tf.data.readers import hdf5_linked_files, hdf5_pandas
from nae_tf.data.readers.memory import check_memory

_MOST_LINKS = 40
_SPARSE = ("csr_matrix", "csc_matrix")


def array_names(path, file) -> dict[str, bool]:
    """List the arrays and pandas tables of a file and its groups.

    Returns:
        For each name whether it is an axis of others or a single value, not an
        array of examples.

    Raises:
        ValueError: if the file holds the weights of a Keras model.
    """
    import h5py

    found = {}

    def visit(name, link):
        if isinstance(link, h5py.ExternalLink):
            found[name] = False

    file.visititems_links(visit)

    def visit_item(name, item):
        if hdf5_pandas.is_table(item):
            found[name] = False
        elif isinstance(item, h5py.Dataset):
            found[name] = (
                item.attrs.get("CLASS", b"") == b"DIMENSION_SCALE"
                or "__table_column_meta__" in name
                or item.shape == ()
            )

    file.visititems(visit_item)
    if "keras_version" in file.attrs or any("/vars/" in name for name in found):
        raise ValueError(
            f"{path} holds the weights of a Keras model, not examples."
        )
    tables = tuple(
        f"{name}/" for name in found if hdf5_pandas.is_table(file.get(name))
    )
    return {
        name: is_scale
        for name, is_scale in found.items()
        # MATLAB keeps what cells hold in groups of its own.
        if not name.startswith((*tables, "#"))
    }


def find(path, file, key: str, linked: bool = False):
    """Find an array or a group, by a path with or without a leading slash.

    Args:
        path: name of the file, used in error messages.
        file: the open file, or a group of it.
        key: path of the array or group.
        linked: whether links into files of the same folder are followed.

    Returns:
        The path without links and outer slashes, and the array or group.

    Raises:
        ValueError: if there is none, if it is in another file, if it is part of
            a pandas table, or if it is a type of values and not an array.
    """
    import h5py

    place, item = _follow(path, file, key, linked)
    if isinstance(item, h5py.Datatype):
        raise ValueError(
            f"{path}: {key!r} is a type of values, not an array; it has "
            f"{listed(sorted(array_names(path, file)))}."
        )
    return place, item


def _follow(path, file, key, linked):
    """Follow a path to whatever it ends at."""
    import h5py

    item = file
    place: list[str] = []
    parts = _parts(key)
    num_links = 0
    while parts:
        part = parts.pop(0)
        link = (
            item.get(part, getlink=True)
            if isinstance(item, h5py.Group)
            else None
        )
        if isinstance(link, (h5py.ExternalLink, h5py.SoftLink)):
            num_links += 1
            if num_links > _MOST_LINKS:
                raise ValueError(f"{path}: {key!r} is a link to itself.")
        if isinstance(link, h5py.ExternalLink):
            if not linked:
                raise ValueError(
                    f"{path}: {key!r} is a link into another file, "
                    f"{link.filename!r}; name that file instead, or allow "
                    "files of the same folder by linked_files=True."
                )
            title = f"{path}: {key!r} is a link that"
            file = hdf5_linked_files.open_beside(title, file, link.filename)
            parts = [*_parts(link.path), *parts]
            item, place = file, []
            continue
        if isinstance(link, h5py.SoftLink):
            start = [] if link.path.startswith("/") else place
            parts = [*start, *_parts(link.path), *parts]
            item, place = file, []
            continue
        if link is None:
            raise ValueError(
                f"{path} has no {key!r}; it has "
                f"{listed(sorted(array_names(path, file)))}."
            )
        if hdf5_pandas.is_table(item):
            table = "/".join(place)
            raise ValueError(
                f"{path}: {key!r} is a part of the pandas table {table!r}; set "
                f"key={table!r} to read its columns by their names."
            )
        item, place = item[part], [*place, part]
    return "/".join(place) or "/", item


def _parts(key):
    return [part for part in key.split("/") if part not in ("", ".")]


def columns(title, group, linked: bool = False) -> dict:
    """The arrays of a group by name.

    Arguments and errors are those of `find`.
    """
    import h5py

    found = {}
    for name in group:
        _, item = _follow(title, group, name, linked)
        if isinstance(item, h5py.Dataset) and (
            item.attrs.get("CLASS", b"") != b"DIMENSION_SCALE"
        ):
            found[name] = item
    return found


def is_sparse(group) -> bool:
    """Return whether a group holds the parts of a sparse matrix."""
    encoding = group.attrs.get("encoding-type", "")
    return encoding in _SPARSE or "h5sparse_format" in group.attrs


def fill_value(dataset):
    """Value that stands where nothing was written, or None for zeros."""
    import h5py

    properties = dataset.id.get_create_plist()
    is_own = properties.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    if not is_own or dataset.dtype.kind not in "iuf" or not dataset.fillvalue:
        return None
    return dataset.fillvalue


def check_written(title, dataset, linked: bool = False):
    """Refuse an array that is elsewhere, or of which parts were never written.

    Args:
        title: name of the array, used in error messages.
        dataset: the array.
        linked: whether virtual arrays may be of files of the same folder.

    Raises:
        ValueError: if values would come from another file, from fill values or
            through a compression that is not installed.
    """
    import h5py

    if dataset.external:
        raise ValueError(
            f"{title} is stored outside of the file, in "
            f"{dataset.external[0][0]!r}; copy it into one file (h5repack)."
        )
    if dataset.is_virtual:
        _check_virtual(title, dataset, linked)
        return
    properties = dataset.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        code, _, _, name = properties.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            raise ValueError(
                f"{title} is compressed by {name.decode() or code!r}, which "
                "h5py lacks; pip install hdf5plugin, or write it with gzip."
            )
    if not dataset.shape or 0 in dataset.shape:
        return
    needed, written = 1, 1
    if dataset.chunks is not None:
        # HDF5 unpacks a chunk as a whole, whatever is asked of it.
        check_memory(title, math.prod(dataset.chunks) * dataset.dtype.itemsize)
        needed = math.prod(
            -(-size // chunk)
            for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)
        )
        written = dataset.id.get_num_chunks()
    status = dataset.id.get_space_status()
    if status == h5py.h5d.SPACE_STATUS_NOT_ALLOCATED:
        written = 0
    if written < needed:
        part = f"{needed - written} of {needed} parts of it were "
        raise ValueError(
            f"{title} was allocated, but {part if written else ''}never "
            "written; write all of it, or the part that is used."
        )


def _check_virtual(title, dataset, linked):
    """Admit a virtual array only if this file, or its folder, holds it all."""
    mapped = 0
    for source in dataset.virtual_sources():
        file = dataset.file
        if source.file_name != ".":
            if not linked:
                raise ValueError(
                    f"{title} is virtual, its values are in other files such "
                    f"as {source.file_name!r}; name those files, copy all into "
                    "one (h5repack), or allow files of the same folder by "
                    "linked_files=True."
                )
            place = f"{title} is virtual and"
            file = hdf5_linked_files.open_beside(place, file, source.file_name)
        name, inner = find(title, file, source.dset_name)
        if inner.is_virtual:
            raise ValueError(
                f"{title} is virtual, made of the virtual {name!r}; copy it "
                "into an array (h5repack)."
            )
        check_written(f"{title}, of {name!r},", inner)
        if _is_short(inner, source):
            raise ValueError(
                f"{title} is virtual, and takes more of {name!r} than its "
                f"shape {inner.shape}; write it again."
            )
        mapped += source.vspace.get_select_npoints()
    if mapped < int(np.prod(dataset.shape)):
        raise ValueError(
            f"{title} is virtual, and parts of it have no source; write all "
            "of it, or the part that is used."
        )


def _is_short(dataset, source):
    """Return whether a virtual array takes more of an array than there is."""
    import h5py

    if source.src_space.get_select_type() == h5py.h5s.SEL_ALL:
        return dataset.size < source.vspace.get_select_npoints()
    _, last = source.src_space.get_select_bounds()
    return len(last) != dataset.ndim or bool(
        np.greater_equal(last, dataset.shape).any()
    )
