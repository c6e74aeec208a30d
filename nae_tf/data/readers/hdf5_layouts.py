"""Arrays of HDF5 that mean something else than their numbers in their order.

Who wrote them says so, in an attribute or by what stands beside them. They are
refused: what a file calls its axes, or a program its values, is no guess.
"""

import contextlib

import numpy as np

from nae_tf.base.json_text import parse_json
from nae_tf.data.readers.axes import refuse_other_axes


def refuse_other_layouts(title, dataset):
    """Refuse an array whose values or axes are not what they seem.

    Args:
        title: name of the array, used in error messages.
        dataset: the array.

    Raises:
        ValueError: if it is one of Octave, Loom or MINC, an image of colours,
            if its axes have names and examples are not counted along the
            first, or if it is shorter than its dimensions of netCDF.
    """
    group = dataset.parent
    if "OCTAVE_NEW_FORMAT" in group.attrs:
        raise ValueError(
            f"{title} is of Octave, which stores the axes of an array in "
            "reverse; save it by save -v7 as a .mat file."
        )
    file = dataset.file
    if {"row_attrs", "col_attrs"} <= file.keys() and (
        dataset.name == "/matrix" or dataset.name.startswith("/layers/")
    ):
        raise ValueError(
            f"{title} has a row for each gene and a column for each cell "
            "(Loom); save it as .h5ad, as by anndata.io.read_loom."
        )
    if {"image-min", "image-max"} <= group.keys() and (
        dataset.name.endswith("/image")
    ):
        raise ValueError(
            f"{title} has levels of a range of its own for each slice (MINC); "
            "convert it to NIfTI, as by mnc2nii."
        )
    if b"IMAGE_TRUECOLOR" in _bytes(dataset, "IMAGE_SUBCLASS") and (
        dataset.ndim == 3
        or not _bytes(dataset, "INTERLACE_MODE") <= {b"INTERLACE_PIXEL"}
    ):
        raise ValueError(
            f"{title} is an image of colours (HDF5 Image), whose first axis "
            "counts no images; store images as [number, height, width, 3]."
        )
    refuse_other_axes(title, _axes(dataset))
    _refuse_short(title, dataset)


def _refuse_short(title, dataset):
    """Refuse a variable of netCDF whose end was never written.

    A dimension without a limit is as long as its longest variable. The others
    are stored as far as they were written.
    """
    for size, axis in zip(dataset.shape or (), dataset.dims, strict=False):
        for scale in axis.values():
            length = _length_of_dimension(scale)
            if length > size:
                raise ValueError(
                    f"{title}: {size} of {length} places along its dimension "
                    f"{_name(scale)!r} were written, the others are missing; "
                    "write them, or cut the other variables there."
                )


def _length_of_dimension(scale):
    # Without a limit alone variables differ; others need not be looked up.
    if "_Netcdf4Dimid" not in scale.attrs or scale.maxshape != (None,):
        return 0
    lengths = list(scale.shape[:1])
    for reference, axis in scale.attrs.get("REFERENCE_LIST", ()):
        with contextlib.suppress(IndexError, KeyError, ValueError):
            lengths.append(scale.file[reference].shape[axis])
    return max(lengths, default=0)


def _name(scale):
    return str(scale.name).rpartition("/")[2]


def _axes(dataset) -> list[str]:
    """Names of the axes, by vigra's tags, labels or netCDF's coordinates."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        tags = parse_json(dataset.attrs["axistags"])["axes"]
        return [str(tag["key"]) for tag in tags]
    names = []
    for axis in dataset.dims:
        scales = [_name(scale) for scale in axis.values()]
        names.append(axis.label or next(iter(scales), ""))
    return names


def _bytes(dataset, name) -> set:
    """The text of an attribute, which may be stored in several ways."""
    values = np.ravel(dataset.attrs.get(name, ()))
    return {v.encode() if isinstance(v, str) else v for v in values.tolist()}
