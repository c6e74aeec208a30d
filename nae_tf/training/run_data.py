"""The data of a run: recorded when training begins, compared ever after.

A split is drawn from all examples of a file. So one row more gives another
split, in which most of what was trained on would be test data.
"""

import dataclasses
import io
import zipfile
from collections.abc import Callable, Mapping

import numpy as np

from nae_tf.base.feature_names import listed
from nae_tf.data.examples import Examples
from nae_tf.data.fingerprints import (
    INLIERS,
    digest_of,
    fingerprints,
    keep_apart,
)
from nae_tf.data.schema import Schema
from nae_tf.data.selection import in_order, sample
from nae_tf.data.task import Task
from nae_tf.runs.disk import explain_data_errors, write_atomically
from nae_tf.runs.progress import print_status
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment


def record_data(run: RunDirectory, task: Task):
    """Write the schema of a task and the fingerprints of its examples.

    Args:
        run: directory of the run.
        task: task, whose inliers and sets for model selection are read.

    Raises:
        OSError: if the data cannot be read, or a file cannot be written.
    """
    hashes = _fingerprints(task, with_selection=True)
    file = io.BytesIO()
    np.savez(file, **{n: hashes[n] for n in INLIERS if n in hashes})  # type: ignore[arg-type]
    write_atomically(run.fingerprints, file.getvalue())
    # Last, because it stands for both.
    write_atomically(run.schema, Schema.of_task(task, hashes).to_json())


def read_schema(run: RunDirectory) -> Schema | None:
    """Read the schema of a run; None if it has none, as runs of old.

    Args:
        run: directory of the run.

    Raises:
        ValueError: if the file is something else.
    """
    if not run.schema.exists():
        return None
    try:
        return Schema.from_json(run.schema.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(run.schema)!r} cannot be read: {error}") from (
            error
        )


def of_kind(schema: Schema, task: Task) -> Task:
    """Return a task whose features are in the order of a schema.

    Args:
        schema: schema of a training.
        task: task, of which nothing is read.

    Raises:
        ValueError: if shape or levels differ, or names or units of features.
    """
    if schema.names and task.train.names:
        task = _each(task, lambda examples: in_order(examples, schema.names))
    schema.check_units(task.name, task.units)
    if difference := schema.difference(
        task.example_shape, task.train.num_levels
    ):
        raise ValueError(
            f"{task.name} has examples of {difference}, which the run was "
            "trained on; put the earlier data back, or train in another "
            "--run_dir."
        )
    return task


def with_data_of_run(
    run: RunDirectory,
    experiment: Experiment,
    resuming: bool = False,
    accept_changes: bool = False,
) -> Experiment:
    """Return an experiment whose data are those that the run was trained on.

    Columns are put in the order of the training's. Sets that are scored are
    cut to `Experiment.evaluation_limit` at random.

    Args:
        run: directory of the run.
        experiment: experiment built from the configuration of the run.
        resuming: whether the training goes on.
        accept_changes: whether other data of the same kind are accepted, as
            `keep_apart` divides them.

    Raises:
        OSError: if the data cannot be read.
        ValueError: if the data differ; the message says in what.
    """
    schema = read_schema(run)
    if schema is None:
        print_status(
            f"note: the run {str(run.path)!r} carries no schema, so its data "
            "are not compared with those of its training."
        )
        return experiment
    task = of_kind(schema, experiment.task)
    if schema.names and not task.train.names:
        print_status(
            f"note: {task.name} does not name its features; those of the "
            f"training were {listed(schema.titles)}, in this order."
        )
    hashes = _fingerprints(task, with_selection=resuming)
    changed = [
        name
        for name, values in hashes.items()
        if name not in schema.sets
        or digest_of(values) != schema.sets[name].digest
    ]
    if changed:
        then = _read_fingerprints(run, schema)
        if not accept_changes or resuming:
            raise ValueError(
                f"{_changes(task, schema, hashes, then, changed)}; "
                + (
                    "put the earlier data back, or train in another --run_dir."
                    if resuming
                    else "put the earlier data back, or pass "
                    "--changed_data=accept, which leaves out what was trained "
                    "on."
                )
            )
        task = keep_apart(task, hashes, then)
    return with_samples(dataclasses.replace(experiment, task=task))


def with_samples(experiment: Experiment) -> Experiment:
    """Cut the sets that are scored to `Experiment.evaluation_limit` at random.

    Args:
        experiment: experiment with whole sets.
    """
    task = experiment.task
    cut = _each(task, lambda some: sample(some, experiment.evaluation_limit))
    return dataclasses.replace(
        experiment, task=dataclasses.replace(cut, train=task.train)
    )


def _each(task: Task, change: Callable[[Examples], Examples]) -> Task:
    def all_of(sets):
        return {name: change(examples) for name, examples in sets.items()}

    return dataclasses.replace(
        task,
        train=change(task.train),
        validation=change(task.validation),
        test=change(task.test),
        selection=all_of(task.selection),
        outliers=all_of(task.outliers),
    )


def _fingerprints(task: Task, with_selection: bool) -> dict[str, np.ndarray]:
    sets = {name: getattr(task, name) for name in INLIERS}
    if with_selection:
        sets |= {f"selection/{k}": v for k, v in task.selection.items()}
    with explain_data_errors(task.name):
        found = {name: fingerprints(part) for name, part in sets.items()}
    return {name: some for name, some in found.items() if some is not None}


def _read_fingerprints(run, schema) -> dict[str, np.ndarray]:
    try:
        with np.load(run.fingerprints, allow_pickle=False) as file:
            found = dict(file)
        is_whole = all(
            digest_of(found[name]) == record.digest
            for name, record in schema.sets.items()
            if name in INLIERS
        )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        is_whole = False
    if not is_whole:
        raise ValueError(
            f"the data have changed since the training, and "
            f"{str(run.fingerprints)!r}, which tells what was trained on, is "
            "missing or damaged; restore it from a copy."
        )
    return found


def _changes(task, schema, hashes, then, changed) -> str:
    """Say how the data differ from those of the training."""
    if others := [name for name in changed if name not in INLIERS]:
        return (
            f"the examples of {', '.join(others)} are not those that the run "
            "began with"
        )
    before = np.concatenate(list(then.values()))
    after = np.concatenate([hashes[n] for n in INLIERS if n in hashes])
    files = "".join(
        f"; {path} has {count} examples, had {schema.files[path]}"
        for path, count in task.files.items()
        if schema.files.get(path, count) != count
    )
    new, missing = _surplus(after, before), _surplus(before, after)
    what = f"{new} new and {missing} missing examples"
    if not new and not missing:
        what = "the same examples in another order"
    return (
        f"the data of {task.name} have changed since the training: "
        f"{len(after)} inliers, {len(before)} then, {what}{files}"
    )


def _surplus(some, others):
    """Count the hashes of one array that the other lacks, equal ones apart."""
    values, counts = np.unique(some, return_counts=True)
    known, known_counts = np.unique(others, return_counts=True)
    had: Mapping = dict(zip(known.tolist(), known_counts.tolist(), strict=True))
    return sum(
        max(0, count - had.get(value, 0))
        for value, count in zip(values.tolist(), counts.tolist(), strict=True)
    )
