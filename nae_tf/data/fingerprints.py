"""Fingerprints of examples, by which other data are told from the same.

A fingerprint is a hash of an example as it is stored, or of its own file:
another processor may resize an image to other values. Those of a set, in their
order, have one digest. Where data have changed since a training, fingerprints
still tell which examples the training has seen.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from nae_tf.base.pipelines import untuned
from nae_tf.data.examples import Examples
from nae_tf.data.selection import select
from nae_tf.data.sources import ArrayExamples, SampledExamples
from nae_tf.data.task import Task

# Parts of a task that hold its inliers.
INLIERS = ("train", "validation", "test")
_NUM_BYTES = 8
_BATCH = 1_000


def fingerprints(examples: Examples) -> np.ndarray | None:
    """Return a hash of every example, in the order of the set.

    Args:
        examples: set, which is read once.

    Returns:
        uint64 [size], the same for equal files or stored values; None for
        samples of a density, which no file holds.
    """
    if isinstance(examples, SampledExamples):
        return None
    hashes = b"".join(
        hashlib.blake2b(content, digest_size=_NUM_BYTES).digest()
        for content in _contents(examples)
    )
    return np.frombuffer(hashes, "<u8").astype(np.uint64)


def _contents(examples):
    if examples.contents is not None:
        return examples.contents()
    if isinstance(examples, ArrayExamples):
        batches = examples.parts()
    else:
        batches = untuned(examples.stored().batch(_BATCH)).as_numpy_iterator()
    return (row.tobytes() for batch in batches for row in batch)


def digest_of(hashes: np.ndarray) -> str:
    """Return one SHA-256 of the fingerprints of a set, hexadecimal."""
    return hashlib.sha256(hashes.astype("<u8").tobytes()).hexdigest()


def keep_apart(
    task: Task,
    now: Mapping[str, np.ndarray],
    then: Mapping[str, np.ndarray],
) -> Task:
    """Divide changed data as they were divided when a model was trained.

    What it was trained on is left out. What was validated or tested with stays
    where it was. New examples go where the task has them; those that the task
    would train on are left out.

    Args:
        task: task on the changed data.
        now: fingerprints of "train", "validation" and "test" of the task, as
            far as they are known; other sets stay as they are.
        then: those of the training's data.

    Returns:
        The task, with other validation and test inliers.

    Raises:
        ValueError: if no example is left for one of them.
    """
    held_out = [name for name in INLIERS[1:] if name in now]
    parts: dict[str, list] = {name: [] for name in held_out}
    for name, hashes in now.items():
        examples = getattr(task, name)
        # Equal examples of several sets count as trained on, or else as of
        # the first of the others.
        left = ~np.isin(hashes, then.get("train", []))
        for part in held_out:
            is_of_part = left & np.isin(hashes, then.get(part, []))
            parts[part].append((examples, is_of_part))
            left &= ~is_of_part
        if name in parts:
            parts[name].append((examples, left))
    kept: dict[str, Any] = {}
    for name, chosen in parts.items():
        kept[name] = select(
            getattr(task, name).name,
            *((some, np.flatnonzero(is_in)) for some, is_in in chosen),
        )
        if kept[name].size == 0:
            raise ValueError(
                f"{task.name}: the changed data leave nothing for {name} that "
                "was not trained on; give the run examples of its own for it."
            )
    return dataclasses.replace(task, **kept)
