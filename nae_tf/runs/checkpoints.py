"""Checkpoints that are whole or not there, and are verified when read.

    checkpoints/<phase>/00000007/  variables.index  variables.data-*
                                   manifest.json

A checkpoint is written under another name and renamed when everything in it has
reached the disk. Its manifest holds the SHA-256 of every file. So a file that a
disk or a copy has damaged is noticed and named, and the checkpoint before is
used instead.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from typing import Protocol

import tensorflow as tf
from absl import logging

from nae_tf.base.json_text import parse_json
from nae_tf.runs.disk import (
    explain_file_errors,
    explain_write_errors,
    flush_to_disk,
)

_VARIABLES = "variables"
_MANIFEST = "manifest.json"
# Prefix of checkpoints that are being written or deleted, which are not read.
_UNFINISHED = "."


@dataclasses.dataclass(frozen=True)
class Progress:
    """Progress of a phase, which a checkpoint holds beside the variables.

    The manifests of runs contain the names of the attributes.

    Attributes:
        epoch: number of completed epochs.
        step: number of completed steps of the current epoch.
        finished: whether the phase is over.
        good: whether the training showed no sign of divergence when this was
            saved. A roll-back returns only to good checkpoints.
        roll_backs: number of roll-backs so far.
        best_epoch: number of the epoch whose weights are kept, from 1; None
            for the present weights.
        means: running means of the current epoch, as `running_means` returns
            them.
        callbacks: states of callbacks, by the name of their class.
        records: sizes in bytes of the files that grow, by their path in the run
            directory.
        seeds: states of the random numbers of layers such as `Dropout`, whole
            numbers each; older checkpoints have none.
    """

    epoch: int = 0
    step: int = 0
    finished: bool = False
    good: bool = True
    roll_backs: int = 0
    best_epoch: int | None = None
    means: dict[str, list[list[float]]] = dataclasses.field(
        default_factory=dict
    )
    callbacks: dict[str, dict] = dataclasses.field(default_factory=dict)
    records: dict[str, int] = dataclasses.field(default_factory=dict)
    seeds: list[list[int]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class SavedCheckpoint:
    """A whole checkpoint on the disk.

    Attributes:
        path: directory of the checkpoint.
        progress: progress of the phase in it.
    """

    path: pathlib.Path
    progress: Progress

    @property
    def variables(self) -> str:
        """Path of the variables for `tf.train.Checkpoint.read`."""
        return str(self.path / _VARIABLES)


class Writable(Protocol):
    """Variables that write themselves."""

    def write(self, path: str):
        """Write files whose names begin with a path, in a new folder."""


class DamagedCheckpointError(ValueError):
    """A checkpoint differs from what was written."""


class CheckpointDirectory:
    """The newest checkpoints of a phase: the last two, and the last good one.

    One process may write; see `RunDirectory.lock`.
    """

    KEPT = 2

    def __init__(self, path: pathlib.Path):
        """Set the directory, which the first `save` creates."""
        self.path = path
        self._damaged: set[str] = set()

    def save(self, checkpoint: Writable, progress: Progress):
        """Write a checkpoint, then delete those that it makes superfluous.

        Args:
            checkpoint: variables to write, such as a `tf.train.Checkpoint`.
            progress: progress to write.

        Raises:
            OSError: if it could not be written; earlier ones are unchanged.
        """
        names = self._names()
        name = f"{int(names[0]) + 1 if names else 0:08d}"
        unfinished = self.path / f"{_UNFINISHED}{name}"
        with explain_write_errors(
            f"cannot write a checkpoint into {str(self.path)!r}",
            "continue with --resume; earlier checkpoints are unchanged",
        ):
            self.path.mkdir(parents=True, exist_ok=True)
            self._delete_unfinished()
            try:
                checkpoint.write(str(unfinished / _VARIABLES))
                _write_manifest(unfinished, progress)
                os.rename(unfinished, self.path / name)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._delete_unfinished()
                raise
            flush_to_disk(self.path)
            self._delete_old()

    def newest(self, good_only: bool = False) -> SavedCheckpoint | None:
        """Return the newest whole checkpoint, or None if there is none at all.

        Args:
            good_only: whether checkpoints that are not good, by
                `Progress.good`, are ignored.

        Raises:
            DamagedCheckpointError: if there are some, but none is whole.
        """
        reports = []
        for name in self._names():
            try:
                saved = verified(self.path / name)
            except DamagedCheckpointError as error:
                self._damaged.add(name)
                reports.append(str(error))
                continue
            if saved.progress.good or not good_only:
                if reports:
                    logging.warning(
                        "%s; using %r instead, of epoch %d, step %d.",
                        "; ".join(reports),
                        str(saved.path),
                        saved.progress.epoch,
                        saved.progress.step,
                    )
                return saved
        if reports:
            raise DamagedCheckpointError(
                f"no checkpoint of {str(self.path)!r} can be used: "
                f"{'; '.join(reports)}. Restore one from a copy, or train the "
                "run again in another --run_dir."
            )
        return None

    def _names(self):
        """Return the names of the finished checkpoints, newest first."""
        if not self.path.is_dir():
            return []
        names = (path.name for path in self.path.iterdir())
        return sorted(filter(str.isdecimal, names), key=int, reverse=True)

    def _delete_unfinished(self):
        for path in self.path.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(path)

    def _delete_old(self):
        kept, has_good = 0, False
        for name in self._names():
            good = self._is_good(name)
            if good is not None and (
                kept < self.KEPT or (good and not has_good)
            ):
                kept += 1
                has_good |= good
                continue
            # Renamed first, so that no half-deleted checkpoint is read.
            deleted = self.path / f"{_UNFINISHED}{name}.deleted"
            os.rename(self.path / name, deleted)
            shutil.rmtree(deleted)

    def _is_good(self, name):
        """Return whether a roll-back may return there; None if damaged."""
        if name in self._damaged:
            return None
        try:
            return _read_manifest(self.path / name)[0].progress.good
        except DamagedCheckpointError:
            return None


class WeightsCopy(tf.Module):
    """A second set of a model's weights, saved with the first.

    Holding the best epoch's weights in memory costs less than a checkpoint for
    every epoch that is better than those before.
    """

    def __init__(self, model):
        """Copy the weights of a built model."""
        super().__init__()
        self.copies = [
            tf.Variable(tf.convert_to_tensor(weight), trainable=False)
            for weight in model.weights
        ]

    def copy_from(self, model):
        """Copy the weights of the model."""
        for copy, weight in zip(self.copies, model.weights, strict=True):
            copy.assign(tf.convert_to_tensor(weight))

    def copy_to(self, model):
        """Set the weights of the model to the copies."""
        for copy, weight in zip(self.copies, model.weights, strict=True):
            weight.assign(copy)


def restore(model, path: pathlib.Path):
    """Load the weights that a phase keeps into a model of its configuration.

    Other variables, such as those of the replay buffer, are the newest.

    Args:
        model: a built model.
        path: directory of the phase's checkpoints.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if the phase is not over, the checkpoint belongs to another
            model, or none is whole.
    """
    saved = CheckpointDirectory(path).newest()
    if saved is None:
        raise FileNotFoundError(
            f"{str(path)!r} holds no checkpoint; the training did not get "
            "that far. Continue it with --resume."
        )
    if not saved.progress.finished:
        raise ValueError(
            f"the training in {str(path)!r} is not over: its newest whole "
            f"checkpoint is of epoch {saved.progress.epoch}, step "
            f"{saved.progress.step}. Continue it with --resume."
        )
    if saved.progress.best_epoch is None:
        read(tf.train.Checkpoint(model=model), saved)
        return
    best = WeightsCopy(model)
    read(tf.train.Checkpoint(model=model, best=best), saved)
    best.copy_to(model)


def read(checkpoint: tf.train.Checkpoint, saved: SavedCheckpoint):
    """Load a checkpoint's variables.

    Args:
        checkpoint: variables to set.
        saved: checkpoint on the disk.

    Raises:
        OSError: if they cannot be read.
        ValueError: if they belong to another model.
    """
    try:
        with explain_file_errors(
            f"cannot read the checkpoint {str(saved.path)!r}",
            "Fix its permissions; rename a path with *, ?, [, ] or \\, which "
            "TensorFlow takes for a pattern.",
        ):
            # An evaluation does not load the optimizer.
            status = checkpoint.read(saved.variables).expect_partial()
            status.assert_existing_objects_matched()
    except (
        AssertionError,
        ValueError,
        tf.errors.InvalidArgumentError,
    ) as error:
        raise ValueError(
            f"the checkpoint {str(saved.path)!r} does not fit the model of the "
            f"run's config.gin: {str(error).splitlines()[0]}"
        ) from error


def verified(path: pathlib.Path) -> SavedCheckpoint:
    """Compare a checkpoint with its manifest.

    Args:
        path: directory of the checkpoint.

    Raises:
        DamagedCheckpointError: if a file differs; the message names it.
    """
    saved, digests = _read_manifest(path)
    for name, digest in digests.items():
        file = path / name
        if not file.is_file():
            raise DamagedCheckpointError(f"{str(file)!r} is missing")
        if _digest(file) != digest:
            raise DamagedCheckpointError(
                f"{str(file)!r} is damaged: it is not what was written"
            )
    return saved


def _read_manifest(path):
    manifest = path / _MANIFEST
    try:
        content = parse_json(manifest.read_text(encoding="utf-8"))
        body, digest = content["body"], content["sha256"]
        progress = _checked_progress(body["progress"])
        files = _checked_files(body["files"])
    except (
        AttributeError,
        KeyError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        raise DamagedCheckpointError(
            f"{str(manifest)!r} cannot be read"
        ) from error
    if _text_digest(body) != digest:
        raise DamagedCheckpointError(
            f"{str(manifest)!r} is damaged: it is not what was written"
        )
    return SavedCheckpoint(path, progress), files


def _checked_progress(fields) -> Progress:
    """Progress of a manifest, which may be somebody else's."""
    progress = Progress(**fields)
    counts = [progress.epoch, progress.step, progress.roll_backs]
    counts += progress.records.values()
    counts += [number for seed in progress.seeds for number in seed]
    if progress.best_epoch is not None:
        counts.append(progress.best_epoch)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("its numbers are damaged")
    return progress


def _checked_files(files) -> dict[str, str]:
    """Digests by name of files beside the manifest, and of no others."""
    if any(not name or pathlib.PurePath(name).name != name for name in files):
        raise ValueError("its files are in other folders")
    return dict(files)


def _write_manifest(path, progress):
    # TensorFlow says nothing if it cannot remove its temporary folder.
    files = sorted(file for file in path.iterdir() if file.is_file())
    for file in files:
        flush_to_disk(file)
    body = {
        "progress": dataclasses.asdict(progress),
        "files": {file.name: _digest(file) for file in files},
    }
    content = {"sha256": _text_digest(body), "body": body}
    manifest = path / _MANIFEST
    manifest.write_text(json.dumps(content, indent=1), encoding="utf-8")
    flush_to_disk(manifest)
    flush_to_disk(path)


def _text_digest(body):
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
