"""Learning curves: the AUROC of a run in the course of its training.

The curves are only looked at. The training writes snapshots of its weights, and
their AUROC is measured when the training is over.
"""

import csv
from collections.abc import Mapping, Sequence

from nae_tf.data.examples import Examples
from nae_tf.metrics.detection import auroc
from nae_tf.runs.checkpoints import CheckpointDirectory
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from nae_tf.training.run_data import with_data_of_run
from nae_tf.training.snapshots import load_snapshot, snapshots
from reproduction.cells import Cell
from reproduction.figures.files import draw
from reproduction.markdown_tables import MISSING, print_table
from reproduction.plots.images import INLIER, NEUTRAL

# Bindings that make a run keep snapshots, all of which are scored.
SNAPSHOTS = (
    "pretraining/Phase.num_snapshots = 5",
    "training/Phase.num_snapshots = 10",
    "baseline/Phase.num_snapshots = 10",
)
# AUROCs whose times are told.
_LEVELS = (0.8, 0.9)
_PHASES = ("pretraining", "training")
# Metrics of an epoch that results have.
_METRICS = (
    "selection_auroc",
    "validation_error",
    "positive_energy",
    "negative_energy",
)
# Names of the mean error of validation data in the phases.
_ERRORS = ("val_positive_energy", "val_reconstruction_error")


def selection_metrics(run: RunDirectory, experiment: Experiment) -> dict:
    """Return the metrics that a finished run may be selected by.

    Returns:
        A dictionary "selection" with a dictionary per phase, of the epoch whose
        weights were kept: "epoch", "step", "seconds", "validation_error" and,
        if the phase has them, "selection_auroc", "positive_energy" and
        "negative_energy".
    """
    metrics = epoch_metrics(run)
    kept = {}
    for phase in _PHASES:
        saved = CheckpointDirectory(run.checkpoints(phase)).newest()
        if saved is not None:
            epoch = saved.progress.best_epoch or saved.progress.epoch
            kept[phase] = metrics.get((phase, epoch), {})
    return {"selection": kept}


def measure_curve(run: RunDirectory, experiment: Experiment) -> dict:
    """Score the snapshots of a finished run on test data.

    Returns:
        The result of `selection_metrics` and "curve", a list with the same
        metrics of every snapshot, its "phase" and "auroc" by outlier set. Its
        seconds count from the beginning of the first phase.
    """
    metrics = epoch_metrics(run)
    experiment = with_data_of_run(run, experiment)
    model = experiment.build_model()
    models = {"training": model}
    if experiment.pretraining is not None:
        models = {"pretraining": model.autoencoder()} | models
    before, curve = 0.0, []
    for phase, detector in models.items():
        for epoch, path in snapshots(run.snapshots(phase)).items():
            load_snapshot(detector, path)
            point = {"phase": phase} | metrics[phase, epoch]
            point["seconds"] = round(before + point["seconds"], 1)
            point["auroc"] = _aurocs(detector, experiment)
            curve.append(point)
        before += max(
            (
                values["seconds"]
                for (name, _), values in metrics.items()
                if name == phase
            ),
            default=0.0,
        )
    return selection_metrics(run, experiment) | {"curve": curve}


def epoch_metrics(run: RunDirectory) -> dict[tuple[str, int], dict]:
    """Read metrics.csv: the metrics of every epoch, by phase and number."""
    metrics: dict[tuple[str, int], dict] = {}
    with open(run.metrics, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            epoch = int(row["epoch"])
            values = metrics.setdefault(
                (row["phase"], epoch),
                {
                    "epoch": epoch,
                    "step": int(row["step"]),
                    "seconds": float(row["seconds"]),
                },
            )
            name = row["metric"]
            if name in _ERRORS:
                name = "validation_error"
            if name in _METRICS:
                values[name] = float(row["value"])
    return metrics


def _aurocs(detector, experiment: Experiment) -> dict[str, float]:
    def scores(examples: Examples):
        batches = examples.batches(256, experiment.evaluation_limit)
        return detector.predict_outlier_score(batches)

    inliers = scores(experiment.task.test)
    return {
        name: auroc(inliers, scores(outliers))
        for name, outliers in experiment.task.outliers.items()
    }


def minutes_to(curve: Sequence[dict], outliers: str, level: float):
    """Return the minutes after which a run first had an AUROC, or None.

    Args:
        curve: the "curve" of a cell's results.
        outliers: name of the outlier set.
        level: AUROC to reach, in [0, 1].
    """
    for point in curve:
        if point["auroc"][outliers] >= level:
            return point["seconds"] / 60
    return None


def print_minutes(cells: Mapping[tuple[str, int, int], Cell]):
    """Print when the stored cells of Table 1 first reached some AUROCs.

    A curve has a point per snapshot, so the time is that of a snapshot.

    Args:
        cells: cells of Table 1 by method, digit and seed.
    """
    rows = []
    for (method, digit, seed), cell in cells.items():
        if not (result := cell.results()):
            continue
        curve, name = result["curve"], f"mnist {digit}"
        times = [minutes_to(curve, name, level) for level in _LEVELS]
        rows.append(
            [
                method,
                str(digit),
                str(seed),
                *(MISSING if t is None else f"{t:.1f}" for t in times),
                f"{curve[-1]['seconds'] / 60:.1f}",
                f"{curve[-1]['auroc'][name]:.3f}",
            ]
        )
    levels = [f"minutes to {level:.2f}" for level in _LEVELS]
    header = ["method", "digit", "seed", *levels, "minutes", "AUROC at the end"]
    print_table(header, rows)


def draw_learning_curves(cells: Mapping[tuple[str, int, int], Cell]):
    """Draw AUROC against minutes, one panel per held-out digit.

    Args:
        cells: cells of Table 1 by method, digit and seed; those that are not
            stored are left out.

    Raises:
        ValueError: if none is stored.
    """
    curves: dict[int, list] = {}
    for (_, digit, _), cell in cells.items():
        if result := cell.results():
            curves.setdefault(digit, []).append(result["curve"])
    if not curves:
        raise ValueError(
            "no such cell of table1 is stored yet: train them first."
        )
    draw(learning_curve_figure(curves), "learning_curve")


def learning_curve_figure(curves: Mapping[int, Sequence[Sequence[dict]]]):
    """Show the AUROC of the snapshots of some cells.

    Args:
        curves: curves of every seed, by held-out digit.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    columns = min(len(curves), 5)
    rows = -(-len(curves) // columns)
    figure = Figure(
        figsize=(max(2.6 * columns, 4.6), 2.3 * rows + 0.4),
        layout="constrained",
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    for axes, (digit, seeds) in zip(
        grid.flat, sorted(curves.items()), strict=False
    ):
        for seed, curve in enumerate(seeds):
            for name, key, color in [
                ("ConstantGray (selection)", "selection_auroc", NEUTRAL),
                ("held-out digit", "auroc", INLIER),
            ]:
                points = [point for point in curve if key in point]
                values = [
                    point[key][f"mnist {digit}"]
                    if key == "auroc"
                    else point[key]
                    for point in points
                ]
                axes.plot(
                    [point["seconds"] / 60 for point in points],
                    values,
                    color=color,
                    marker=".",
                    label=None if seed else name,
                )
            pretraining = [p for p in curve if p["phase"] == "pretraining"]
            if pretraining:
                axes.axvline(
                    pretraining[-1]["seconds"] / 60,
                    color=NEUTRAL,
                    linestyle=":",
                    label=None if seed else "end of pre-training",
                )
        axes.set(title=f"digit {digit}", xlabel="minutes")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("AUROC")
    figure.legend(
        *grid.flat[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize="small",
    )
    return figure
