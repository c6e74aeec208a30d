"""Arrays of HDF5 that mean something else than their numbers in their order.

Who wrote them says so, in an attribute or by what stands beside them. They are
refused: what a file calls its axes, or a program its values, is no guess.
"""

import contextlib

import numpy as np

from nae_tf.base.feature_names import listed
from nae_tf.base.json_text import parse_json

# Names of axes along which examples are counted.
_COUNTED = frozenset(
    name + plural
    for name in ("sample", "event", "observation", "example", "trial", "frame")
    for plural in ("", "s")
)
_TIME = frozenset(["t", "time"])
_IN_SPACE = frozenset(
    [
        *("x", "y", "z", "c", "channel", "channels"),
        *("lat", "lon", "latitude", "longitude"),
        *("height", "width", "row", "rows", "column", "columns"),
    ]
)


def refuse_other_layouts(title, dataset):
    """Refuse an array whose values or axes are not what they seem.

    Args:
        title: name of the array, used in error messages.
        dataset: the array.

    Raises:
        ValueError: if it is one of Octave, Loom or MINC, an image of colours,
            or if its axes have names and examples are not counted along the
            first.
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
    names = _axes(dataset)
    place = _place_of_examples([name.lower() for name in names])
    if place:
        raise ValueError(
            f"{title} has the axes {listed(names)}, but examples are counted "
            f"along the first one; store np.moveaxis(x, {place}, 0)."
        )


def _place_of_examples(names) -> int:
    """Return along which axis examples are counted, as far as names tell."""
    if not names or names[0] in _COUNTED | _TIME:
        return 0
    wanted = _COUNTED
    # A row of (station, time) may be an example; one of (y, x, time) is none.
    if len(names) > 2 and names[0] in _IN_SPACE:
        wanted = _COUNTED | _TIME
    return next((i for i, name in enumerate(names) if name in wanted), 0)


def _axes(dataset) -> list[str]:
    """Names of the axes, by vigra's tags, labels or netCDF's coordinates."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        tags = parse_json(dataset.attrs["axistags"])["axes"]
        return [str(tag["key"]) for tag in tags]
    names = []
    for axis in dataset.dims:
        scales = [str(scale.name).rpartition("/")[2] for scale in axis.values()]
        names.append(axis.label or next(iter(scales), ""))
    return names


def _bytes(dataset, name) -> set:
    """The text of an attribute, which may be stored in several ways."""
    values = np.ravel(dataset.attrs.get(name, ()))
    return {v.encode() if isinstance(v, str) else v for v in values.tolist()}
