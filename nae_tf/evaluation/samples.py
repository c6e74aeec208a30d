"""Samples of a run: drawn, written, shown in a picture and measured."""

import dataclasses
import functools
import io
from collections.abc import Iterator

import keras
import numpy as np

from nae_tf.data.task import Task
from nae_tf.evaluation.features import (
    FeatureFunction,
    features_of,
    saved_model_features,
    train_rotation_classifier,
    values,
)
from nae_tf.evaluation.sample_figure import stages_figure
from nae_tf.metrics.sample_distance import frechet_distance, kernel_distance
from nae_tf.runs.disk import (
    write_atomically,
    write_figure,
)
from nae_tf.runs.progress import progress_bar
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.samplers import NegativeSample

_BATCH_SIZE = 256


_CLASSIFIER_STEPS = 1_000


# Titles in the picture of the arrays that it shows.
_STAGES = {
    "decoded_z0": "start of the latent chain, decoded",
    "x0": "start of the visible chain",
    "x": "final samples",
}


def draw_samples(
    model, num_samples: int, seed: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Draw samples of a model, in batches.

    Args:
        model: model with a method `sample`, such as `NAE`.
        num_samples: number of samples, > 0.
        seed: seed of the samples, int >= 0; the same seed and number give the
            same samples.

    Yields:
        Arrays by name. "x" are the final samples, float [batch, ...]. A visible
        chain adds its starts "x0", a latent chain its starts "z0", its results
        "z", float [batch, latent_dim], and "decoded_z0", float [batch, ...].

    Raises:
        ValueError: if the model does not generate samples.
    """
    if not hasattr(model, "sample"):
        raise ValueError(
            f"{type(model).__name__} does not generate samples; name a run "
            "whose model is NAE."
        )
    for batch, start in enumerate(range(0, num_samples, _BATCH_SIZE)):
        # One independent seed for every batch.
        batch_seed = np.random.SeedSequence([seed, batch]).generate_state(1)
        sample = model.sample(
            min(_BATCH_SIZE, num_samples - start), int(batch_seed[0] >> 1)
        )
        stages = {"x": sample.x}
        if isinstance(sample, NegativeSample):
            stages["x0"] = sample.x0
            if sample.z0 is not None:
                stages |= {
                    "z": sample.z,
                    "z0": sample.z0,
                    "decoded_z0": model.unstandardized(
                        model.sampler.visible_chain.clamp(
                            model.decode(sample.z0)
                        )
                    ),
                }
        yield {name: stage.numpy() for name, stage in stages.items()}


def lengthen_latent_chain(model, factor: int):
    """Make the latent chain of generation longer than that of training.

    Args:
        model: model with a sampler; it is changed.
        factor: length of the chain in generation, as a multiple of that in
            training, > 0.

    Raises:
        ValueError: if the model, or its sampler, has no latent chain, or none
            with a `generation_factor`.
    """
    sampler = getattr(model, "sampler", None)
    if sampler is None:
        raise ValueError(
            f"{type(model).__name__} has no latent chain; name a run whose "
            "model is NAE."
        )
    # A sampler of a user's own may have a latent chain of one length.
    if not (sampler.has_latent_chain and hasattr(sampler, "generation_factor")):
        raise ValueError(
            f"{type(sampler).__name__} has no latent chain with a "
            "generation_factor; leave out --generation_factor."
        )
    model.sampler = dataclasses.replace(sampler, generation_factor=factor)


def measure_quality(
    samples: np.ndarray,
    task: Task,
    features: FeatureFunction,
    limit: int | None = None,
) -> dict:
    """Compare samples with test data.

    Args:
        samples: float [num_samples, ...].
        task: task whose test inliers are the reference.
        features: function of a batch that returns its features.
        limit: largest number of test and of validation examples; None means
            all.

    Returns:
        Distances to test inliers, of the "samples", and of "validation" inliers
        for comparison. Each has the keys "size", "frechet_distance",
        "kernel_distance" and "kernel_distance_standard_error".
    """

    def of_examples(examples):
        return features_of(features, examples.batches(_BATCH_SIZE, limit))

    reference = of_examples(task.test)

    def distances(other):
        kernel = kernel_distance(other, reference)
        return {
            "size": len(other),
            "frechet_distance": frechet_distance(other, reference),
            "kernel_distance": kernel.value,
            "kernel_distance_standard_error": kernel.standard_error,
        }

    batches = np.array_split(samples, -(-len(samples) // _BATCH_SIZE))
    return {
        "samples": distances(features_of(features, batches)),
        "validation": distances(of_examples(task.validation)),
    }


def write_arrays(run: RunDirectory, stages: dict[str, np.ndarray]):
    """Write samples into the run's samples.npz.

    Args:
        run: directory of the run.
        stages: arrays by name, as `draw_samples` yields them.

    Returns:
        Path of the file.
    """
    file = io.BytesIO()
    # No allow_pickle: before NumPy 2.2 it would be taken for an array.
    np.savez_compressed(file, **stages)  # type: ignore[arg-type]
    path = run.samples / "samples.npz"
    write_atomically(path, file.getvalue())
    return path


def write_picture(run: RunDirectory, stages: dict[str, np.ndarray]) -> str:
    """Draw samples into the run's samples.png.

    Args:
        run: directory of the run.
        stages: arrays by name, as `draw_samples` yields them.

    Returns:
        Path of the file, or a message that says why there is no picture.
    """
    try:
        figure = stages_figure(
            {_STAGES[name]: stages[name] for name in _STAGES if name in stages}
        )
    except (ImportError, ValueError) as error:
        return f"no picture: {error}"
    path = run.samples / "samples.png"
    write_figure(path, figure)
    return str(path)


def choose_features(
    name: str, task: Task, trust_model: bool = False
) -> tuple[str, FeatureFunction]:
    """Return the features that --features names.

    Args:
        name: "values", "classifier" or the directory of a SavedModel.
        task: task whose examples have features.
        trust_model: whether the SavedModel may reach out of its graphs.

    Returns:
        A description of the features and the function that computes them.
    """
    if name == "values":
        return "values of the examples", values
    if name != "classifier":
        return name, saved_model_features(name, task.example_shape, trust_model)
    with progress_bar(_CLASSIFIER_STEPS, "step", "classifier") as bar:
        on_step = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: bar.update()
        )
        classifier = train_rotation_classifier(
            task, num_steps=_CLASSIFIER_STEPS, callbacks=[on_step]
        )
    return (
        "classifier of rotations trained on the run's data, accuracy "
        f"{classifier.accuracy:.3f}",
        functools.partial(classifier.features.predict, verbose=0),
    )


def format_quality(quality: dict) -> str:
    """Lay out the distances of `measure_quality` as a table."""
    lines = ["distance to test data       Frechet         kernel"]
    for title in ("samples", "validation"):
        row = quality[title]
        error = row["kernel_distance_standard_error"]
        lines.append(
            f"{title} ({row['size']})".ljust(26)
            + f"{row['frechet_distance']:9.4f}  {row['kernel_distance']:13.5f}"
            + ("" if error is None else f" +- {error:.5f}")
        )
    return "\n".join(lines)
