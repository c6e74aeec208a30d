"""Names in AnnData's files (.h5ad): genes are features, cells have classes."""

import numpy as np

from nae_tf.base.feature_names import Names


def is_anndata(file) -> bool:
    """Return whether a file holds an AnnData object."""
    return file.attrs.get("encoding-type", "") == "anndata"


def feature_names(file, key: str) -> Names | None:
    """Names of the columns of an array, or None if they are no variables.

    Args:
        file: the open file.
        key: name of the array; components in `obsm`, for example, are none of
            the variables, however many there are.
    """
    if key == "X" or key.startswith("layers/"):
        variables = file["var"]
    elif key == "raw/X":
        variables = file["raw/var"]
    else:
        return None
    index = variables[variables.attrs.get("_index", "_index")]
    if is_nullable_text(index):
        return tuple(texts(index).tolist())
    if not hasattr(index, "dtype"):
        return None
    return tuple(index.asstr()[...].tolist())


def is_nullable_text(item) -> bool:
    """Return whether an item is a group of texts and a mask of missing ones."""
    return item.attrs.get("encoding-type", "") == "nullable-string-array"


def texts(group) -> np.ndarray:
    """Texts of a nullable array; a missing one is empty."""
    values = group["values"].asstr()[...]
    return np.where(group["mask"][...], "", values).astype(str)


def is_categorical(item) -> bool:
    """Return whether an item is a group of codes and their categories."""
    return item.attrs.get("encoding-type", "") == "categorical"


def categories(group) -> np.ndarray:
    """Classes of a categorical group; no class is an empty text."""
    names = group["categories"]
    if is_nullable_text(names):
        names = texts(names)
    elif names.dtype.kind == "O":
        names = names.asstr()
    classes = np.array(["", *map(str, names[...])])
    return classes[group["codes"][...].astype(int) + 1]
