"""The paper's figures from tiny runs."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import vector_nae
from tiny_runs import ROOT, run

from nae_tf import LangevinChain
from nae_tf.data.image_arrays import image_grid
from nae_tf.evaluation.results import trained_methods
from nae_tf.metrics.detection import auroc
from nae_tf.runs import run_directory
from reproduction.figures import (
    image_figures,
    plane_figures,
    runs,
)


def panels(figure, num_rows):
    """Images of a figure by row, as shown."""
    images = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    return np.reshape(
        np.array(images, object), [num_rows, -1, *images[0].shape]
    )


def group_titles(figure):
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    return [title for title in titles if title]


def methods_of(run_dir):
    run, experiment = runs.open_run(run_dir)
    yield from trained_methods(run, experiment)


def scores_of(run_dir):
    """Scores of inliers and outliers by method."""
    run, experiment = runs.open_run(run_dir)
    (outliers,) = experiment.task.outliers.values()
    return {
        name: [
            model.predict_outlier_score(split.batches(64, 50))
            for split in (experiment.task.test, outliers)
        ]
        for name, model in trained_methods(run, experiment)
    }


def test_figure1_has_the_reconstructions_of_both_methods(digits_runs):
    figure = image_figures.figure1(digits_runs[:1])
    inputs, *rows = panels(figure, 3).astype(np.float32)
    assert group_titles(figure) == [
        "inliers",
        "digit 4",
        "constant_gray",
        "chimera",
    ]
    for row, (_, model) in zip(rows, methods_of(digits_runs[0]), strict=True):
        expected = model(inputs[..., None]).numpy()[..., 0]
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_figure6_has_two_columns_a_run(digits_runs):
    figure = image_figures.figure6(digits_runs)
    assert panels(figure, 3).shape[1] == 4
    assert group_titles(figure) == [
        "out: digit 4",
        "out: digit 9",
    ]


def test_figure7_has_three_stages(digits_runs):
    figure = image_figures.figure7(digits_runs[:1])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["z0, decoded", "OMI", "samples"]


def test_figure8_compares_energies_of_an_untrained_model(digits_runs):
    figure = image_figures.figure8(digits_runs[:1])
    rows = panels(figure, 4).astype(np.float32)
    titles = [axes.get_ylabel() for axes in figure.axes[::8]]
    _, experiment = runs.open_run(digits_runs[0])
    model = experiment.build_model()
    for title, images in zip(titles, rows, strict=True):
        energy = np.mean(model.predict_outlier_score(images[..., None]))
        assert float(title.split("=")[1]) == pytest.approx(energy, rel=0.01)


def test_figure9_starts_at_iteration_0_and_goes_on_as_logged(digits_runs):
    run = run_directory.RunDirectory(digits_runs[0])
    writer = tf.summary.create_file_writer(str(run.tensorboard / "training"))
    grids = np.random.default_rng(0).integers(0, 256, [2, 3, 9, 9, 1])
    grids = grids.astype(np.uint8)
    with writer.as_default():
        for step in range(3):
            for tag, images in zip(
                ("samples/on_manifold", "samples/visible"), grids, strict=True
            ):
                tf.summary.image(tag, images[step][None], step=10 * step + 10)
    writer.close()
    figure = image_figures.figure9(digits_runs[:1])
    assert group_titles(figure) == ["iteration 0", "10", "20", "30"]
    axes = np.reshape(figure.axes, [2, 4])
    for row, images in zip(axes, grids, strict=True):
        for panel, image in zip(row[1:], images, strict=True):
            np.testing.assert_allclose(
                panel.images[0].get_array(), image[..., 0] / 255, atol=1e-6
            )
    assert (
        axes[0][0].images[0].get_array().shape
        == image_grid(np.zeros([36, 8, 8, 1]), 6).shape[:2]
    )


def test_figure12_has_the_errors_and_aurocs_of_every_run(
    digits_runs, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        image_figures, "latent_size_figure", lambda *shown: drawn.append(shown)
    )
    image_figures.figure12(digits_runs[::-1])
    ((sizes, errors, aurocs),) = drawn
    assert sizes == [4, 16]
    for index, run_dir in enumerate(digits_runs):
        scores = scores_of(run_dir)
        for values, expected in zip(errors.values(), scores["AE"], strict=True):
            np.testing.assert_allclose(values[index], expected)
        for name, values in aurocs.items():
            assert values[index] == pytest.approx(auroc(*scores[name]))


def test_figure2_has_one_arrow_a_point(plane_run):
    (axes,) = plane_figures.figure2([plane_run]).axes
    arrows = [item for item in axes.collections if hasattr(item, "V")]
    assert [len(arrow.V) for arrow in arrows] == [40, 40]


def test_energy_changes_are_those_of_a_small_step():
    model = vector_nae()
    rng = np.random.default_rng(0)
    data, samples = tf.constant(rng.normal(0, 1, [2, 6, 4]), tf.float32)
    changes = plane_figures.energy_changes(model, data, samples)
    before = [model.energy(x).numpy() for x in (data, samples)]
    weights = [
        *model.encoder.trainable_variables,
        *model.decoder.trainable_variables,
    ]
    with tf.GradientTape() as tape:
        gap = tf.reduce_mean(model.energy(data)) - tf.reduce_mean(
            model.energy(samples)
        )
    gradients = tape.gradient(gap, [weight.value for weight in weights])
    rate = 1e-3
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.assign(weight - rate * gradient)
    for x, energy, change in zip((data, samples), before, changes, strict=True):
        difference = (model.energy(x).numpy() - energy) / rate
        np.testing.assert_allclose(change, difference, rtol=0.05, atol=5e-3)
    # The gap falls by the squared norm of its gradient.
    norm = sum(np.sum(gradient.numpy() ** 2) for gradient in gradients)
    fall = changes[1].mean() - changes[0].mean()
    assert fall == pytest.approx(norm, rel=1e-4)


def test_a_path_holds_every_state_of_the_chain():
    chain = LangevinChain(5, 0.3, 0.2, noise_schedule="reciprocal")
    start = tf.constant([[1.0, -2.0]])

    def energy(x):
        return tf.reduce_sum(x**2, -1) / 2

    path = plane_figures.chain_path(chain, start, energy, 1.0)
    assert path.shape == (6, 2)
    np.testing.assert_array_equal(path[0], start[0])
    noise = path[1:] - (1 - 0.3) * path[:-1]
    # What is left of a move is noise of the schedule's size.
    assert np.all(np.abs(noise) < 5 * 0.2 / np.arange(1, 6)[:, None])
    assert len(np.unique(noise)) == 10


def test_figure4_ends_the_latent_chain_where_the_visible_one_starts(plane_run):
    _, right = plane_figures.figure4([plane_run]).axes
    marks = {
        line.get_marker(): line.get_xydata()
        for line in right.lines
        if len(line.get_xdata()) == 1
    }
    dots = [line for line in right.lines if line.get_marker() == "."]
    manifold_path, visible_path = (line.get_xydata() for line in dots)
    assert len(manifold_path) == 4 and len(visible_path) == 5
    np.testing.assert_allclose(marks["*"][0], manifold_path[-1], atol=1e-5)
    np.testing.assert_allclose(marks["X"][0], visible_path[-1])


def test_the_command_draws_into_the_run_directory(digits_runs):
    tool = [sys.executable, str(ROOT / "tools" / "reproduce.py")]
    runs = [f"--run_dir={run_dir}" for run_dir in digits_runs]
    drawn = run([*tool, "figure6", *runs], ROOT)
    assert drawn.returncode == 0, drawn.stderr
    path = pathlib.Path(digits_runs[0]) / "figures" / "figure6.png"
    assert tf.io.decode_png(path.read_bytes()).shape[-1] == 4
    refused = run([*tool, "figure2", runs[0]], ROOT)
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("error: this figure shows a plane")
