"""Runs that figures are drawn from, and the requirements of figures."""

from collections.abc import Sequence

import numpy as np

from nae_tf.data.examples import Examples
from nae_tf.nae import NAE
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from nae_tf.training.run_data import with_data_of_run


def open_run(run_dir: str) -> tuple[RunDirectory, Experiment]:
    """Read a run's configuration, which is valid until the next call."""
    run = RunDirectory(run_dir)
    run.load_config()
    return run, with_data_of_run(run, Experiment.from_config())


def open_only_run(run_dirs: Sequence[str]) -> tuple[RunDirectory, Experiment]:
    """Read the configuration of the one run that the figure shows.

    Raises:
        ValueError: if there are several.
    """
    if len(run_dirs) != 1:
        raise ValueError(
            f"this figure shows one run: expected one --run_dir, received "
            f"{len(run_dirs)}."
        )
    return open_run(run_dirs[0])


def first_examples(examples: Examples, count: int) -> np.ndarray:
    """Return the first examples of a split, without any choice."""
    return next(examples.batches(count).as_numpy_iterator())


def held_out(experiment: Experiment) -> tuple[str, Examples]:
    """Return the first outlier set of a run and its name.

    Raises:
        ValueError: if there is none.
    """
    outliers = experiment.task.outliers
    if not outliers:
        raise ValueError(
            f"this figure shows outliers, but {experiment.task.name!r} has "
            "none; name another run."
        )
    return next(iter(outliers.items()))


def own_model(run: RunDirectory, experiment: Experiment) -> NAE:
    """Return the model of the run's last phase, which must have samples."""
    model = experiment.build_model()
    expect_latent_chain(model)
    restore(model, run.checkpoints("training"))
    return model


def expect_latent_chain(model):
    """Refuse a model without on-manifold samples."""
    sampler = getattr(model, "sampler", None)
    if not getattr(sampler, "has_latent_chain", False):
        raise ValueError(
            f"this figure needs on-manifold samples, but the run has a "
            f"{type(model).__name__} without them; name a run of NAE with "
            "@OnManifold()."
        )


def expect_images(experiment: Experiment):
    """Refuse a run on anything but images."""
    shape = experiment.task.example_shape
    if len(shape) != 3:
        raise ValueError(
            f"this figure shows images, but the run has examples of shape "
            f"{list(shape)}; name a run on images."
        )
