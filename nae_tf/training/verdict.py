"""A verdict on a training by validation inliers alone, without outliers."""

from typing import Any, NamedTuple

import keras
import numpy as np

from nae_tf.autoencoder import Autoencoder
from nae_tf.base.setting_checks import check_integer
from nae_tf.base.synthetic_outliers import synthetic_outliers
from nae_tf.data.examples import Examples
from nae_tf.metrics.detection import auroc
from nae_tf.metrics.diagnostics import (
    TrainingDiagnostics,
    distance_in_spacings,
    diversity,
    energy_gap_in_spreads,
)
from nae_tf.metrics.paired_auroc import auroc_difference_error
from nae_tf.nae import NAE
from nae_tf.runs.progress import print_status
from nae_tf.training.selection_auroc import seeded_examples

_BATCH_SIZE = 128
_NUM_SAMPLES = 128
# Figures of samples that the logs of an epoch have.
IN_LOGS = ("sample_gap", "sample_distance")


class Verdict(keras.callbacks.Callback):
    """Say after a training whether it failed, by what sign, and what to do.

    Give the same callback to `NAE.pretrain` and to `NAE.fit`, as the last of
    the list. While NAE trains, the logs of every epoch tell its progress:
    "sample_gap", the mean energy of samples less that of validation inliers, in
    units of the inliers' spread, and "sample_distance", the distance of samples
    to inliers in units of the distance between inliers. Both lead towards what
    data have, 0 and 1.

    At the end one line is printed for everything that went wrong, as
    `nae_tf.metrics.TrainingDiagnostics` defines it, or one that says that
    nothing did.

    Attributes:
        diagnostics: figures of the last training; None before its end.
        failures: what went wrong, a line each; empty if nothing did.

    Example:
        >>> import numpy as np
        >>> from nae_tf import NAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> from nae_tf.training import Verdict
        >>> x = np.random.default_rng(0).uniform(size=(96, 6))
        >>> model = NAE(MLPEncoder(2, (6,)), MLPDecoder(2, (6,)))
        >>> verdict = Verdict(x[64:])
        >>> history = model.pretrain(
        ...     x[:64], steps=4, epochs=2, verbose=0, callbacks=[verdict]
        ... )
        >>> verdict.failures[0][:33]
        'pre-training has learned little: '
    """

    def __init__(self, inliers, *, limit: int | None = 512, seed: int = 0):
        """Prepare the figures.

        Args:
            inliers: validation data, float [num_examples, ...], at least two,
                that the model is not trained on.
            limit: largest number of inliers that are used, > 0, a seeded sample
                of them; None means all.
            seed: seed of the outliers that are made of them, int >= 0.

        Raises:
            ValueError: if a setting is out of range, or there are fewer than
                two inliers.
        """
        super().__init__()
        if limit is not None:
            check_integer("Verdict", "limit", limit, 2)
        check_integer("Verdict", "seed", seed, 0)
        inliers = seeded_examples("Verdict", "inliers", inliers, limit)
        self._figures = InlierFigures(inliers, seed)
        self._of_pretraining: dict = {}
        self.diagnostics: TrainingDiagnostics | None = None

    @property
    def failures(self) -> list[str]:
        """What went wrong, a line each."""
        return [] if self.diagnostics is None else self.diagnostics.failures()

    def on_train_begin(self, logs=None):
        """Measure the autoencoder that NAE starts from."""
        self._errors: list[float] = []
        if isinstance(self.model, NAE):
            self._of_autoencoder = self._figures.scores(self.model)

    def on_epoch_end(self, epoch, logs=None):
        """Add the figures of samples to `logs`, or note the error."""
        if isinstance(self.model, NAE):
            self._of_samples = self._figures.of_samples(self.model, epoch)
            logs.update((name, self._of_samples[name]) for name in IN_LOGS)
        else:
            self._errors.append(self._figures.error(self.model))
            self._training_error = logs.get("reconstruction_error")

    def on_train_end(self, logs=None):
        """Judge, and print the lines."""
        if not isinstance(self.model, Autoencoder):
            return
        if isinstance(self.model, NAE):
            self.diagnostics = TrainingDiagnostics(
                **self._figures.scores(self.model).figures(
                    self._of_autoencoder
                ),
                unexplained=self._figures.unexplained(self.model),
                **self._of_samples,
                **self._of_pretraining,
                **sizes(self.model),
            )
        else:
            self._of_pretraining = {
                "pretraining_errors": tuple(self._errors),
                "pretraining_unexplained": self._figures.unexplained(
                    self.model
                ),
                "overfitting": overfitting(
                    self._errors[-1:], self._training_error
                ),
            }
            self.diagnostics = TrainingDiagnostics(
                **self._of_pretraining, **sizes(self.model)
            )
        for line in verdict_lines(self.diagnostics):
            print_status(line)


class SampleProgress(keras.callbacks.Callback):
    """Add the figures of samples to the logs of every epoch, as `Verdict` does.

    For runs, whose verdict is a part of their evaluation.
    """

    def __init__(self, validation: Examples, num_samples: int):
        """Prepare the figures.

        Args:
            validation: validation inliers.
            num_samples: number of samples, and of the first inliers that they
                are compared with.
        """
        super().__init__()
        self._validation = validation
        self._num_samples = num_samples

    def on_epoch_end(self, epoch, logs=None):
        """Sample, and add the figures to `logs` for later callbacks."""
        batches = self._validation.batches(self._num_samples)
        inliers = next(batches.as_numpy_iterator())
        if len(inliers) > 1:
            figures = sample_figures(self.model, inliers, inliers, epoch)
            logs.update((name, figures[name]) for name in IN_LOGS)


class MadeScores(NamedTuple):
    """Scores of validation inliers and of outliers made of them.

    Attributes:
        inliers: float [num_inliers].
        outliers: float [num_inliers] for each set of outliers.
    """

    inliers: np.ndarray
    outliers: list[np.ndarray]

    def auroc(self) -> float:
        """Mean AUROC over the sets of outliers; NaN if scores are NaN."""
        if any(np.isnan(x).any() for x in (self.inliers, *self.outliers)):
            return float("nan")
        return float(np.mean([auroc(self.inliers, x) for x in self.outliers]))

    def figures(self, autoencoder: "MadeScores") -> dict[str, Any]:
        """Return AUROCs and their error, by attribute of the diagnostics.

        Args:
            autoencoder: scores before NAE's training.
        """
        found = {
            "auroc": self.auroc(),
            "autoencoder_auroc": autoencoder.auroc(),
        }
        if np.isfinite(list(found.values())).all():
            # Sets share their inliers: a mean has at most the mean's error.
            found["auroc_error"] = float(
                np.mean(
                    [
                        auroc_difference_error(
                            (autoencoder.inliers, before), (self.inliers, after)
                        )
                        for before, after in zip(
                            autoencoder.outliers, self.outliers, strict=True
                        )
                    ]
                )
            )
        return found


class InlierFigures:
    """Figures of a model by validation inliers and outliers made of them."""

    def __init__(self, inliers: np.ndarray, seed: int = 0):
        """Make the outliers.

        Args:
            inliers: float [num_examples, ...], at least two.
            seed: seed of the outliers.
        """
        self.inliers = inliers
        self.outliers = synthetic_outliers(inliers, seed)

    def scores(self, model) -> "MadeScores":
        """Scores of the inliers, and of every set of outliers."""
        return MadeScores(
            _scores(model, self.inliers),
            [_scores(model, x) for x in self.outliers.values()],
        )

    def error(self, model) -> float:
        """Mean energy of the inliers."""
        return float(np.mean(_scores(model, self.inliers)))

    def unexplained(self, model) -> float:
        """Squared error of reconstructions, as a share of the variance."""
        x = model.as_examples(self.inliers)
        parts = [
            model.decode(model.encode(x[start : start + _BATCH_SIZE])).numpy()
            for start in range(0, len(self.inliers), _BATCH_SIZE)
        ]
        x = x.numpy().astype(np.float64)
        variance = np.var(x, axis=0).mean()
        left = np.mean(np.square(x - np.concatenate(parts)))
        return float(left / variance) if variance else 0.0

    def of_samples(self, model, seed: int = 0) -> dict[str, Any]:
        """Return figures of negative samples, by attribute of the diagnostics.

        Args:
            model: `NAE`, whose replay buffer the samples start from.
            seed: seed of the samples.
        """
        starts = self.inliers[:_NUM_SAMPLES]
        return sample_figures(model, starts, self.inliers, seed)


def sample_figures(model, starts, inliers, seed: int = 0) -> dict[str, Any]:
    """Return figures of negative samples, by attribute of the diagnostics.

    Args:
        model: `NAE`, whose replay buffer the samples start from.
        starts: float [num_samples, ...], examples that contrastive divergence
            starts from.
        inliers: float [num_examples, ...], what samples are compared with.
        seed: seed of the samples.
    """
    samples = model.negative_samples(starts, seed).x.numpy()
    if not np.isfinite(samples).all():
        return dict.fromkeys(IN_LOGS, float("nan"))
    # As the networks see them, where no feature outweighs others.
    data, found = (np.asarray(model.as_examples(x)) for x in (inliers, samples))
    return {
        "sample_gap": energy_gap_in_spreads(
            _scores(model, inliers), _scores(model, samples)
        ),
        "sample_distance": distance_in_spacings(found, data),
        "sample_diversity": diversity(found, data),
    }


def sizes(model: Autoencoder) -> dict[str, Any]:
    """Return the numbers of latents and of values, for the diagnostics."""
    return {
        "latent_dim": int(np.prod(model.latent_shape)),
        "num_values": int(np.prod(model.example_shape)),
    }


def overfitting(validation_errors, training_error) -> float | None:
    """Return the last validation error over the training error, or None."""
    if not len(validation_errors) or not training_error:
        return None
    return float(validation_errors[-1]) / float(training_error)


def verdict_lines(diagnostics: TrainingDiagnostics) -> list[str]:
    """Return the lines of a verdict, one for every failure or one that is good.

    Args:
        diagnostics: figures of a training.

    Example:
        >>> from nae_tf.metrics import TrainingDiagnostics
        >>> from nae_tf.training.verdict import verdict_lines
        >>> verdict_lines(TrainingDiagnostics(auroc=0.9, autoencoder_auroc=0.8))
        ['verdict: no sign of failure; AUROC of validation inliers against \
outliers made of them 0.900, autoencoder 0.800']
    """
    failures = diagnostics.failures()
    if failures:
        return [f"verdict: failed: {failure}" for failure in failures]
    line = "verdict: no sign of failure"
    if diagnostics.auroc is not None:
        line += (
            "; AUROC of validation inliers against outliers made of them "
            f"{diagnostics.auroc:.3f}"
        )
    if diagnostics.autoencoder_auroc is not None:
        line += f", autoencoder {diagnostics.autoencoder_auroc:.3f}"
    return [line]


def _scores(model, x) -> np.ndarray:
    return model.predict_outlier_score(x, batch_size=_BATCH_SIZE)
