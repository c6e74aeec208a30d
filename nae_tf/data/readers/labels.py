"""Labels of examples: text, one per example, none missing."""

import dataclasses

import numpy as np
from absl import logging

from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.header import MISSING


def with_checked_labels(
    title, contents: Contents, drop_unlabelled: bool = False
) -> Contents:
    """Return the same examples with labels as texts.

    An example without a label is no inlier: nobody has said so.

    Args:
        title: name of the file, used in error messages.
        contents: examples; labels [number] or [number, 1] of any type.
        drop_unlabelled: whether examples without a label are left out. Their
            number is logged.

    Raises:
        ValueError: if the labels are not one per example, or some are missing.
    """
    values, labels = contents.values, contents.labels
    if labels is None:
        return contents
    if labels.shape not in [(len(values),), (len(values), 1)]:
        raise ValueError(
            f"{title} has {len(values)} examples, but labels of shape "
            f"{labels.shape}."
        )
    labels = labels.reshape(-1)
    missing = _is_missing(labels)
    # Blanks around a text come from how it was written.
    texts = np.char.strip(labels.astype(str))
    if not missing.any():
        return dataclasses.replace(contents, labels=texts)
    if not drop_unlabelled:
        raise ValueError(
            f"{title}: {missing.sum()} of {len(labels)} examples have no "
            f"label, the first is number {missing.argmax()} (counted from 0); "
            "label or remove them, or set drop_unlabelled."
        )
    logging.warning(
        "%s: %d of %d examples have no label and are left out.",
        title,
        missing.sum(),
        len(labels),
    )
    return dataclasses.replace(
        contents, values=values[~missing], labels=texts[~missing]
    )


def _is_missing(labels):
    """Return which labels are empty: NaN, None, masked, or a text for that."""
    if labels.dtype.kind == "f":
        missing = np.isnan(labels)
    elif labels.dtype.kind in "iub":
        missing = np.zeros(labels.shape, bool)
    else:
        missing = np.array(
            [
                label is None or str(label).strip() in MISSING
                for label in labels.tolist()
            ],
            bool,
        )
    return np.asarray(missing | np.ma.getmaskarray(labels))
