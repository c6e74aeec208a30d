"""Figures 2 and 4 of the paper, drawn from a run on points of a plane.

Those of the paper are sketches; these are computed from a trained model.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.losses import energy_gap
from reproduction.density_grid import Grid
from reproduction.figures.runs import first_examples, open_only_run, own_model
from reproduction.plots.plane import energy_gradient_figure, on_manifold_figure

_SEED = (0, 0)


def figure2(run_dirs: Sequence[str]):
    """Show how a step of Eq. 7 changes the energies of data and samples."""
    run, experiment = open_only_run(run_dirs)
    model = own_model(run, experiment)
    extent = plane_ends(experiment, model)
    data = first_examples(experiment.task.test, 40)
    samples = model.sample(40).x
    data_changes, sample_changes = energy_changes(model, data, samples)
    many = next(experiment.task.test.batches(20_000).as_numpy_iterator())
    edges = np.linspace(extent[0], extent[1], 61)
    data_density, _, _ = np.histogram2d(many[:, 0], many[:, 1], edges)
    return energy_gradient_figure(
        extent,
        grid_density(model, extent),
        data_density.T,
        samples.numpy(),
        sample_changes,
        data,
        data_changes,
    )


def energy_changes(model, data, samples) -> tuple[np.ndarray, np.ndarray]:
    """Rates of change of energies along the step of Eq. 7.

        dE(x)/dt = -<dE(x)/dtheta, g>,  g = d/dtheta (mean E(x) - mean E(x'))

    Args:
        model: an energy model.
        data: float [num_examples, ...], x.
        samples: float [num_samples, ...], x'.

    Returns:
        Rates of the data, float [num_examples], and of the samples,
        float [num_samples].
    """
    variables = [
        variable.value
        for network in (model.encoder, model.decoder)
        for variable in network.trainable_variables
    ]
    with tf.GradientTape() as tape:
        gap = energy_gap(model.energy(data), model.energy(samples))
    gradients = tape.gradient(gap, variables)
    step = [-gradient for gradient in gradients]
    with tf.autodiff.ForwardAccumulator(variables, step) as accumulator:
        energies = model.energy(data), model.energy(samples)
    return tuple(accumulator.jvp(energy).numpy() for energy in energies)


def figure4(run_dirs: Sequence[str]):
    """Show on-manifold initialisation in a plane, with a 1-D latent space."""
    run, experiment = open_only_run(run_dirs)
    model = own_model(run, experiment)
    extent = plane_ends(experiment, model)
    curved = model.latent_space.is_curved
    if model.latent_shape != ((2,) if curved else (1,)):
        raise ValueError(
            "figure4 needs a one-dimensional latent space; train the run with "
            "latent_dim=2 and NAE.latent_space=@Sphere(), a circle, or with "
            "latent_dim=1 and NAE.latent_space=@Euclidean()."
        )
    sampler: Any = model.sampler  # `own_model` asked for a latent chain.
    z0 = model.latent_space.sample(
        [1, *model.latent_shape], tf.constant(_SEED), model.variable_dtype
    )

    def latent_energy(z):
        return model.energy(model.decode(z))

    latents = chain_path(
        sampler.latent_chain,
        z0,
        latent_energy,
        model.temperature,
        model.latent_space.project if curved else None,
    )
    start = sampler.visible_chain.clamp(model.decode(latents[-1:]))
    visible = chain_path(
        sampler.visible_chain, start, model.energy, model.temperature
    )
    path = np.arctan2(*latents.T[::-1]) if curved else latents[:, 0]
    if curved:
        coordinates = np.linspace(-np.pi, np.pi, 400)
        points = np.stack([np.cos(coordinates), np.sin(coordinates)], axis=1)
    else:
        codes = model.encode(first_examples(experiment.task.test, 200)).numpy()
        ends = [min(codes.min(), path.min()), max(codes.max(), path.max())]
        coordinates = np.linspace(ends[0], ends[1], 400)
        points = coordinates[:, None]
    points = tf.constant(points, model.variable_dtype)
    return on_manifold_figure(
        extent,
        grid_density(model, extent),
        coordinates,
        latent_energy(points).numpy(),
        model.decode(points).numpy(),
        path,
        latent_energy(tf.constant(latents)).numpy(),
        model.decode(tf.constant(latents)).numpy(),
        visible,
    )


def chain_path(chain, x, energy_fn, temperature, project=None) -> np.ndarray:
    """Return every state of a chain from one start.

    The noise of a move depends on the seed and its number alone, so a shorter
    chain is the beginning of a longer one.

    Args:
        chain: a `LangevinChain`.
        x: float [1, ...], the start.
        energy_fn: function from float [batch, ...] to energies, float [batch].
        temperature: float > 0.
        project: function that brings states back to their space, or None.

    Returns:
        float [num_steps + 1, ...].
    """
    states = []
    for num_steps in range(chain.num_steps + 1):
        shorter = dataclasses.replace(chain, num_steps=num_steps)
        seed = randomness.fold_in(tf.constant(_SEED), 1)
        state, _ = shorter.run(x, energy_fn, seed, temperature, project)
        states.append(state[0].numpy())
    return np.stack(states)


def plane_ends(experiment, model) -> tuple[float, float]:
    """Return the ends of both axes; the examples must be points of a plane."""
    shape = experiment.task.example_shape
    if shape != (2,):
        raise ValueError(
            f"this figure shows a plane, but the run has examples of shape "
            f"{list(shape)}; name a run such as that of "
            "gin/eight_gaussians.gin."
        )
    return model.value_range or (-5.0, 5.0)


def grid_density(model, extent: tuple[float, float]) -> np.ndarray:
    """Return the model's density on a grid, float [num_cells, num_cells]."""
    grid = Grid(*extent, num_cells=120)
    points = tf.constant(grid.points(), model.variable_dtype)
    density, _ = grid.normalize(model.log_density(points).numpy())
    return density


FIGURES: dict[str, Callable] = {"figure2": figure2, "figure4": figure4}
