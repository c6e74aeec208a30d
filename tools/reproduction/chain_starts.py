"""Densities of the plane, measured (section 6.2, Figures 3 and 5).

In two dimensions the truth is known and a density can be normalised on a grid.
So the densities in these figures can be measured.
"""

import numpy as np
from absl import app

from nae_tf.baselines import VAE
from nae_tf.data.densities import eight_gaussians_log_density
from nae_tf.metrics.sample_distance import gaussian_kernel, squared_mmd
from nae_tf.nae import NAE
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from reproduction.cells import Cell, provenance
from reproduction.density_grid import Grid
from reproduction.figures.files import draw
from reproduction.markdown_tables import print_table, stored_results
from reproduction.plots.densities import Panel, density_figure

GRID = Grid(-5.0, 5.0)  # The box of the chains.
_NUM_SAMPLES = 2_000
_BUDGET = ("gin/eight_gaussians.gin", "gin/chain_starts/budget.gin")
# Starts of the chains, as in Figure 3.
CHAIN_STARTS = {
    "CD": ("gin/chain_starts/cd.gin",),
    "PCD, no restart": ("gin/chain_starts/pcd.gin",),
    "PCD, restart": ("gin/chain_starts/pcd_restart.gin",),
    "OMI": ("gin/chain_starts/omi.gin",),
}
# Lengths of a step: those of the authors' notebook; within a mode, so that only
# OMI's latent chain goes from mode to mode; and from mode to mode.
MOVES = {
    "notebook moves": (),
    "small moves": ("gin/chain_starts/small_moves.gin",),
    "large moves": ("gin/chain_starts/large_moves.gin",),
}
# With large moves all starts end with the same density.
_DRAWN_MOVES = ("notebook moves", "small moves")

# Method and dimension of the latent space, as in Figure 5. One dimension of AE
# and NAE is a circle in the plane, as in the authors' notebook.
DIMENSIONS = {
    ("AE", 1): ("latent_dim=2", "Autoencoder.latent_space=@Sphere()"),
    ("VAE", 1): ("latent_dim=1", "VAE.num_samples=64"),
    ("NAE", 1): (
        "latent_dim=2",
        "NAE.latent_space=@Sphere()",
        "NAE.latent_l2=0.0",
        # The best T: the variance of the error that a circle leaves.
        "NAE.temperature=0.125",
    ),
    ("AE", 3): ("latent_dim=3", "Autoencoder.latent_space=@Euclidean()"),
    ("VAE", 3): ("latent_dim=3", "VAE.num_samples=64"),
    ("NAE", 3): (),
}
_METHOD_FILES = {
    "AE": ("gin/methods/ae.gin",),
    "VAE": ("gin/methods/vae_likelihood.gin",),
    "NAE": (),
}


def chain_start_cell(start: str, moves: str, seed: int) -> Cell:
    """Return the cell of one way to start and to move the chains."""
    folder, name = (
        text.lower().replace(", ", "_").replace(" ", "_")
        for text in (moves, start)
    )
    return Cell(
        f"eight_gaussians/{folder}/{name}-seed{seed}",
        (*_BUDGET, *CHAIN_STARTS[start], *MOVES[moves]),
        (f"seed={seed}",),
        measure_density,
    )


def dimension_cell(method: str, dimension: int) -> Cell:
    """Return the cell of a method with a latent space of one or three."""
    if (method, dimension) == ("NAE", 3):
        return chain_start_cell("OMI", "large moves", 0)
    return Cell(
        f"eight_gaussians/{method.lower()}-dimension{dimension}",
        (*_BUDGET, *_METHOD_FILES[method]),
        DIMENSIONS[method, dimension],
        measure_density,
    )


def true_density() -> np.ndarray:
    """Return the eight Gaussians on the grid."""
    density, _ = GRID.normalize(eight_gaussians_log_density(GRID.points()))
    return density


def model_log_density(model, data: np.ndarray) -> np.ndarray:
    """Return the log of a model's density at the grid, up to a constant.

    An autoencoder is read as a normal distribution around its reconstruction:

        p(x) ~ exp(-|x - decode(encode(x))|^2 / (2 sigma^2))

    The root of the mean squared error of data is the most likely sigma. A VAE
    has a density of its own, estimated by importance sampling.

    Args:
        model: model trained on the plane, whose energies are means over
            coordinates; a VAE scores by likelihood.
        data: float [num_examples, 2], the data that sigma is estimated from.

    Returns:
        float [num_cells**2].
    """
    energy = model.predict_outlier_score(GRID.points(), 8_192)
    if isinstance(model, NAE):
        temperature = float(model.temperature)
    elif isinstance(model, VAE):
        temperature = 1.0
    else:
        # |.|^2 is twice the mean over the two coordinates.
        temperature = float(np.mean(model.predict_outlier_score(data)))
    return -energy.astype(np.float64) / temperature


def model_density(model, data: np.ndarray) -> np.ndarray:
    """Return a model's density on the grid; see `model_log_density`."""
    density, _ = GRID.normalize(model_log_density(model, data))
    return density


def load_run(run: RunDirectory, experiment: Experiment):
    """Return the trained model of a run, and test data [number, 2]."""
    model = experiment.build_model()
    restore(model, run.checkpoints("training"))
    data = next(experiment.task.test.batches(_NUM_SAMPLES).as_numpy_iterator())
    return model, data


def measure_density(run: RunDirectory, experiment: Experiment) -> dict:
    """Compare a run's density and its negative samples with the truth.

    Returns:
        A dictionary "density" with "total_variation", "kl_divergence" in nats
        of the data's density to the model's, and "log_normalizer". For NAE it
        has also "temperature" and "squared_mmd" of the negative samples.
    """
    model, data = load_run(run, experiment)
    log_density = model_log_density(model, data)
    density, log_normalizer = GRID.normalize(log_density)
    truth = true_density()
    measured = {
        "total_variation": GRID.total_variation(density, truth),
        "kl_divergence": GRID.kl_divergence(truth, log_density),
        "log_normalizer": log_normalizer,
    }
    if isinstance(model, NAE):
        measured["temperature"] = float(model.temperature)
        measured["squared_mmd"] = squared_mmd(
            model.negative_samples(data).x.numpy(),
            data,
            gaussian_kernel(_bandwidth(data)),
        )
    return {"density": measured}


def _bandwidth(data):
    """Return the median distance of data, the authors' choice."""
    first, second = data[: len(data) // 2], data[len(data) // 2 :]
    return float(np.median(np.linalg.norm(first - second, axis=-1)))


# --- Commands -----------------------------------------------------------------


def figure3(num_seeds: int, jobs: int, show: bool):
    """Train with all chain starts; print the table, draw the first seed.

    `show` neither trains nor draws.
    """
    ways = [(start, moves) for moves in MOVES for start in CHAIN_STARTS]
    cells = {
        (*way, seed): chain_start_cell(*way, seed)
        for seed in range(num_seeds)
        for way in ways
    }
    results = finished(cells, jobs, show)
    rows = []
    for way in ways:
        row = list(way)
        for metric, factor in [
            ("total_variation", 1.0),
            ("kl_divergence", 1.0),
            ("squared_mmd", 1e3),
        ]:
            seeds = range(num_seeds)
            values = [results[*way, k]["density"][metric] for k in seeds]
            row.append(f"{factor * np.mean(values):.3f}")
            if num_seeds > 1:
                row[-1] += f" ± {factor * np.std(values, ddof=1):.3f}"
        rows.append(row)
    print_table(
        [
            "chains start at",
            "and make",
            "total variation",
            "KL(data, model) / nats",
            "MMD^2 of negative samples / 1e-3",
        ],
        rows,
    )
    print(f"\nMean and standard deviation of seeds 0 to {num_seeds - 1}.")
    print(provenance(results.values()))
    if show:
        return
    truth = true_density()
    panels = [
        [Panel("data", truth)]
        + [chain_start_panel(start, moves) for start in CHAIN_STARTS]
        for moves in _DRAWN_MOVES
    ]
    draw(density_figure(panels, GRID, truth.max()), "figure3")


def chain_start_panel(start: str, moves: str) -> Panel:
    """Return the density and 200 negative samples of seed 0."""
    model, data = load_cell(chain_start_cell(start, moves, 0))
    density = model_density(model, data)
    distance = GRID.total_variation(density, true_density())
    return Panel(
        f"{start}\n{moves}, TV {distance:.2f}",
        density,
        model.negative_samples(data[:200]).x.numpy(),
    )


def figure5(jobs: int, show: bool):
    """Train AE, VAE and NAE with one and three latent dimensions; draw them.

    `show` neither trains nor draws: it prints the table.
    """
    cells = {key: dimension_cell(*key) for key in DIMENSIONS}
    results = finished(cells, jobs, show)
    densities = {key: result["density"] for key, result in results.items()}
    print_table(
        ["method", "latent dimensions", "total variation", "KL / nats"],
        [
            [
                method,
                str(dimension),
                f"{density['total_variation']:.3f}",
                f"{density['kl_divergence']:.3f}",
            ]
            for (method, dimension), density in densities.items()
        ],
    )
    print(f"\n{provenance(results.values())}")
    if show:
        return
    truth = true_density()
    rows = []
    for dimension in (1, 3):
        row = [Panel("data", truth)]
        for method in _METHOD_FILES:
            model, data = load_cell(cells[method, dimension])
            density = model_density(model, data)
            title = f"{method}, {dimension} latent dim."
            row.append(Panel(title, density))
        rows.append(row)
    draw(density_figure(rows, GRID, truth.max()), "figure5")


def finished(cells: dict, jobs: int, show: bool) -> dict:
    """Train the cells that are missing; return the results of all.

    Raises:
        UsageError: if `show` is set and a cell is missing.
    """
    results = stored_results(cells, jobs, show)
    missing = [cell.name for key, cell in cells.items() if key not in results]
    if missing:
        raise app.UsageError(f"--show: {missing[0]} is not stored.")
    return results


def load_cell(cell: Cell):
    """Return the trained model of a cell, and test data.

    Raises:
        FileNotFoundError: if the run is not there, only its results.
    """
    run = RunDirectory(cell.run_dir)
    if not run.config.exists():
        raise FileNotFoundError(
            f"the picture needs the run {cell.run_dir}; remove {cell.stored} "
            "to train it again."
        )
    run.load_config()
    return load_run(run, Experiment.from_config())
