"""Names in AnnData's files (.h5ad): genes are features, cells have classes."""

import numpy as np

from nae_tf.base.feature_names import Names


def is_anndata(file) -> bool:
    """Return whether a file holds an AnnData object."""
    return file.attrs.get("encoding-type", "") == "anndata"


def feature_names(file) -> Names | None:
    """Names of the columns of X, or None."""
    variables = file["var"]
    index = variables[variables.attrs.get("_index", "_index")]
    if not hasattr(index, "dtype"):
        return None
    return tuple(index.asstr()[...].tolist())


def is_categorical(item) -> bool:
    """Return whether an item is a group of codes and their categories."""
    return item.attrs.get("encoding-type", "") == "categorical"


def categories(group) -> np.ndarray:
    """Classes of a categorical group; no class is an empty text."""
    names = group["categories"]
    if names.dtype.kind == "O":
        names = names.asstr()
    texts = np.array(["", *map(str, names[...])])
    return texts[group["codes"][...].astype(int) + 1]
