"""The verdict on a run, from its checkpoints and its metrics.csv."""

import collections
import csv

import numpy as np

from nae_tf.autoencoder import Autoencoder
from nae_tf.data.selection import sample
from nae_tf.data.task import Task
from nae_tf.metrics.diagnostics import TrainingDiagnostics
from nae_tf.nae import NAE
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.verdict import (
    InlierFigures,
    MadeScores,
    overfitting,
    sizes,
    verdict_lines,
)

_NUM_INLIERS = 512


class RunVerdict:
    """Collect the figures of a run's methods, one after another."""

    def __init__(self, run: RunDirectory, task: Task):
        """Read validation inliers.

        Args:
            run: directory of the run.
            task: task of the run.
        """
        self._run = run
        some = sample(task.validation, _NUM_INLIERS)
        batches = some.batches(_NUM_INLIERS).as_numpy_iterator()
        inliers = np.concatenate(list(batches))
        # Fewer make no outliers.
        self._figures = InlierFigures(inliers) if len(inliers) > 1 else None
        self._found: dict = {}
        self._of_autoencoder: MadeScores | None = None
        self.lines: list[str] = []

    def add(self, model):
        """Measure a method; after NAE `lines` has the verdict.

        Args:
            model: AE or NAE with its weights; other methods have no verdict.
        """
        if self._figures is None or not isinstance(model, Autoencoder):
            return
        if isinstance(model, NAE):
            scores = self._figures.scores(model)
            if self._of_autoencoder is None:
                self._found["auroc"] = scores.auroc()
            else:
                self._found |= scores.figures(self._of_autoencoder)
            self._found |= {
                "unexplained": self._figures.unexplained(model),
                **self._figures.of_samples(model),
                **sizes(model),
            }
            self.lines = verdict_lines(TrainingDiagnostics(**self._found))
            return
        by_epoch = _pretraining(self._run)
        errors = by_epoch["val_reconstruction_error"]
        of_training = by_epoch["reconstruction_error"] or [None]
        self._of_autoencoder = self._figures.scores(model)
        self._found = {
            "pretraining_errors": tuple(errors),
            "pretraining_unexplained": self._figures.unexplained(model),
            "overfitting": overfitting(errors, of_training[-1]),
        }


def _pretraining(run: RunDirectory) -> dict[str, list]:
    """Return the metrics of the pre-training, each by epoch."""
    found = collections.defaultdict(list)
    if run.metrics.exists():
        with open(run.metrics, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["phase"] == "pretraining":
                    found[row["metric"]].append(float(row["value"]))
    return found
