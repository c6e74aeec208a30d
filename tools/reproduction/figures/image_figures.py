"""Figures 1, 6, 7, 8, 9 and 12 of the paper, drawn from trained runs.

Every function takes the run directories of the command line and returns a
matplotlib figure. Images are the first of their set, without any choice.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from nae_tf.data.image_arrays import image_grid
from nae_tf.evaluation.results import trained_methods
from nae_tf.evaluation.sample_figure import stages_figure
from nae_tf.evaluation.samples import draw_samples
from nae_tf.metrics.detection import auroc
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.samplers import ContrastiveDivergence
from nae_tf.training.tensorboard import TensorBoardPictures
from reproduction.figures.runs import (
    expect_images,
    expect_latent_chain,
    first_examples,
    held_out,
    open_only_run,
    open_run,
    own_model,
)
from reproduction.plots.images import (
    image_table,
    latent_size_figure,
    reconstruction_figure,
)

_BATCH_SIZE = 256
_SEED = (0, 0)


def figure1(run_dirs: Sequence[str]):
    """Show reconstructions of inliers and of outliers by AE and NAE."""
    run, experiment = open_only_run(run_dirs)
    expect_images(experiment)
    task = experiment.task
    groups = {"inliers": first_examples(task.test, 6)}
    count = max(2, 6 // max(len(task.outliers), 1))
    for name, outliers in (*task.outliers.items(), *task.selection.items()):
        groups.setdefault(
            name,
            first_examples(outliers, count if name in task.outliers else 2),
        )
    inputs = np.concatenate(list(groups.values()))
    reconstructions, flags = {}, {}
    for name, model in trained_methods(run, experiment):
        validation = task.validation.batches(
            _BATCH_SIZE, experiment.evaluation_limit
        )
        threshold = np.quantile(model.predict_outlier_score(validation), 0.95)
        reconstructions[name] = model(inputs).numpy()
        flags[name] = model.predict_outlier_score(inputs) > threshold
    is_outlier = np.arange(len(inputs)) >= len(groups["inliers"])
    return reconstruction_figure(groups, reconstructions, flags, is_outlier)


def figure6(run_dirs: Sequence[str]):
    """Show an inlier and an outlier of hold-out runs by AE and NAE."""
    rows: dict[str, list] = {"input": []}
    groups = {}
    for run_dir in run_dirs:
        run, experiment = open_run(run_dir)
        expect_images(experiment)
        name, outliers = held_out(experiment)
        inputs = np.concatenate(
            [
                first_examples(experiment.task.test, 1),
                first_examples(outliers, 1),
            ]
        )
        title = f"out: {name}"
        if title in groups:
            raise ValueError(
                f"figure6: two runs hold out {name!r}; name runs of different "
                "--run_dir."
            )
        groups[title] = 2
        rows["input"].extend(inputs)
        for method, model in trained_methods(run, experiment):
            rows.setdefault(method, []).extend(model(inputs).numpy())
    return image_table(rows, groups)


def figure7(run_dirs: Sequence[str]):
    """Show stages of samples: latent noise, on-manifold start, sample."""
    run, experiment = open_only_run(run_dirs)
    stages = next(draw_samples(own_model(run, experiment), 64))
    return stages_figure(
        {
            "z0, decoded": stages["decoded_z0"],
            "OMI": stages["x0"],
            "samples": stages["x"],
        }
    )


def figure8(run_dirs: Sequence[str]):
    """Show samples of an untrained model by CD and OMI, with energies."""
    _, experiment = open_only_run(run_dirs)
    expect_images(experiment)
    model = experiment.build_model()
    expect_latent_chain(model)
    data = tf.constant(first_examples(experiment.task.test, 8))
    by_cd = ContrastiveDivergence(
        visible_chain=model.sampler.visible_chain
    ).draw(model, data, None, tf.constant(_SEED))
    by_omi = model.sample(8)
    rows = {}
    for title, images in [
        ("data", data),
        ("CD", by_cd.x),
        ("OMI, start", by_omi.x0),
        ("OMI", by_omi.x),
    ]:
        energy = float(tf.reduce_mean(model.energy(images)))
        rows[f"{title}\nE = {energy:.3g}"] = images.numpy()
    return image_table(rows, {"": 8})


def figure9(run_dirs: Sequence[str]):
    """Show on-manifold starts and negative samples during training."""
    run, experiment = open_only_run(run_dirs)
    expect_images(experiment)
    if experiment.pretraining is None:
        raise ValueError("figure9 needs a run with pre-training, its start.")
    model = experiment.build_model()
    expect_latent_chain(model)
    # The autoencoder's networks are the model's.
    restore(model.autoencoder(), run.checkpoints("pretraining"))
    # As many as training logs.
    count = TensorBoardPictures.NUM_PICTURES
    start = model.sampler.draw(
        model,
        tf.constant(first_examples(experiment.task.test, count)),
        None,
        tf.constant(_SEED),
    )
    rows = {
        "OMI": [image_grid(start.x0.numpy())],
        "samples": [image_grid(start.x.numpy())],
    }
    logged = [
        logged_images(run, tag)
        for tag in ("samples/on_manifold", "samples/visible")
    ]
    steps = sorted(set(logged[0]) & set(logged[1]))
    chosen = np.unique(np.linspace(0, len(steps) - 1, 5).round().astype(int))
    groups = {"iteration 0": 1}
    for step in (steps[index] for index in chosen):
        groups[f"{step}"] = 1
        for row, images in zip(rows.values(), logged, strict=True):
            row.append(images[step])
    return image_table(rows, groups, image_inches=1.5)


def logged_images(run: RunDirectory, tag: str) -> dict[int, np.ndarray]:
    """Return the images that the training phase logged to TensorBoard, by step.

    Raises:
        ValueError: if there are none.
    """
    from tensorboard.backend.event_processing import event_accumulator

    folder = run.tensorboard / "training"
    events = event_accumulator.EventAccumulator(
        str(folder), size_guidance={"tensors": 0}
    )
    if folder.is_dir():
        events.Reload()
    if tag not in events.Tags()["tensors"]:
        raise ValueError(
            f"{str(folder)!r} has no images {tag!r}; train the run with sample "
            "grids in its TensorBoard."
        )
    images = {}
    for event in events.Tensors(tag):
        _, _, *pictures = tf.make_ndarray(event.tensor_proto)
        images[event.step] = tf.io.decode_png(pictures[0]).numpy() / 255
    return images


def figure12(run_dirs: Sequence[str]):
    """Show errors and AUROC of the autoencoder by its latent dimension."""
    found: dict[int, dict] = {}
    for run_dir in run_dirs:
        run, experiment = open_run(run_dir)
        task, limit = experiment.task, experiment.evaluation_limit
        name, outliers = held_out(experiment)
        scores = {}
        for method, model in trained_methods(run, experiment):
            scores[method] = [
                model.predict_outlier_score(split.batches(_BATCH_SIZE, limit))
                for split in (task.test, outliers)
            ]
            size = int(np.prod(model.latent_shape))
        found[size] = {"outliers": name, "scores": scores}
    if len(found) < 2:
        raise ValueError(
            "figure12 compares latent dimensions; name several --run_dir, each "
            "trained with another latent_dim."
        )
    sizes = sorted(found)
    methods = list(found[sizes[0]]["scores"])
    baseline = [found[size]["scores"][methods[0]] for size in sizes]
    return latent_size_figure(
        sizes,
        {
            "inliers": [inliers for inliers, _ in baseline],
            found[sizes[0]]["outliers"]: [outliers for _, outliers in baseline],
        },
        {
            method: [auroc(*found[size]["scores"][method]) for size in sizes]
            for method in methods
        },
    )


FIGURES: dict[str, Callable] = {
    "figure1": figure1,
    "figure6": figure6,
    "figure7": figure7,
    "figure8": figure8,
    "figure9": figure9,
    "figure12": figure12,
}
