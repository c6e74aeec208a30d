"""A Langevin chain as a value: one column of the paper's Table 11, and its run.

Two chains draw a negative sample, the latent chain and the visible chain. The
arithmetic of one move is in `langevin`. Next: `replay_buffer`, and `samplers`,
which start the chains.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import gin
import keras
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.batches import pad_batch, split_batch
from nae_tf.base.private import function_apart
from nae_tf.base.saving import Serializable
from nae_tf.base.setting_checks import (
    check_choice,
    check_ends,
    check_flag,
    check_integer,
    check_number,
)
from nae_tf.energy import energy_and_gradient
from nae_tf.langevin import (
    GRADIENT_CLIPS,
    NOISE_SCHEDULES,
    langevin_drift,
    langevin_step,
    metropolis_hastings_log_ratio,
)


class ChainDiagnostics(NamedTuple):
    """Diagnostics of a batch of chains, each a float scalar.

    Attributes:
        gradient_norm: mean norm of dE/dx before clipping, over steps and
            chains.
        acceptance: share of the proposals that were accepted, 1 without
            Metropolis-Hastings and without boundary rejection.
        fraction_at_bound: share of the final states' elements at a bound.
    """

    gradient_norm: tf.Tensor
    acceptance: tf.Tensor
    fraction_at_bound: tf.Tensor


def _broadcast_like(flags, x):
    """Give per-chain flags [batch] the rank of the states [batch, ...]."""
    return tf.reshape(flags, [-1] + [1] * (x.shape.rank - 1))


def _mean_norm(gradient):
    axes = list(range(1, gradient.shape.rank))
    squared_norm = tf.reduce_sum(tf.square(gradient), axes)
    return tf.cast(tf.reduce_mean(tf.sqrt(squared_norm)), tf.float32)


def _identity(x):
    return x


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True)
class LangevinChain(Serializable):
    """Settings of a Langevin chain (Table 11), and its run.

    Attributes:
        num_steps: number of moves, >= 0.
        step_size: lambda, > 0, in units of x**2 / energy.
        noise_std: sigma, >= 0, in units of x. None means sqrt(2 * step_size),
            for which the chain targets exp(-E / T).
        noise_schedule: "constant"; "reciprocal", sigma / (1 + t) as in the
            paper; or "delayed_reciprocal", as in the authors' code.
        gradient_clip: rule of clipping: None, "element", "row_norm",
            "example_norm", or "fixed_norm", which scales small gradients up,
            too.
        clip_limit: bound of the clipping rule, > 0; the norm of "fixed_norm".
        metropolis_hastings: whether each move is accepted or rejected, so that
            the chain targets exp(-E / T) exactly.
        bounds: ends (low, high) of the box that holds every element, or None.
        boundary: "clamp" moves an element that left the box to its edge;
            "reject" leaves a chain that left the box where it was.
        num_parts: number of parts of a batch whose energies are computed
            independently, > 0. On a CPU, the small operations of one part then
            run beside the matrix products of another. Only the speed changes.

    Example:
        >>> import tensorflow as tf
        >>> from nae_tf import LangevinChain
        >>> chain = LangevinChain(num_steps=200, step_size=0.1)
        >>> x, diagnostics = chain.run(
        ...     tf.zeros([1_000, 2]),
        ...     energy_fn=lambda x: tf.reduce_sum(x**2, axis=1) / 2,
        ...     seed=(0, 0),
        ... )
        >>> round(float(tf.math.reduce_std(x)), 1)  # The standard normal's.
        1.0
        >>> float(diagnostics.acceptance)
        1.0
    """

    num_steps: int
    step_size: float
    noise_std: float | None = None
    noise_schedule: str = "constant"
    gradient_clip: str | None = None
    clip_limit: float = 0.01
    metropolis_hastings: bool = False
    bounds: tuple[float, float] | None = None
    boundary: str = "clamp"
    num_parts: int = 1

    def __post_init__(self):
        """Fill in the theoretical noise and refuse settings out of range."""
        owner = "LangevinChain"
        if self.bounds is not None:
            bounds = check_ends(owner, "bounds", self.bounds)
            object.__setattr__(self, "bounds", bounds)
        # TensorFlow counts the steps of a loop in integers of 32 bits.
        check_integer(owner, "num_steps", self.num_steps, 0, 2**31 - 1)
        object.__setattr__(self, "num_steps", int(self.num_steps))
        check_number(owner, "step_size", self.step_size, "(0, inf)")
        if self.noise_std is None:
            object.__setattr__(self, "noise_std", math.sqrt(2 * self.step_size))
        check_number(owner, "noise_std", self.noise_std, "[0, inf)")
        check_choice(
            owner, "noise_schedule", self.noise_schedule, NOISE_SCHEDULES
        )
        clips = [None, *GRADIENT_CLIPS]
        check_choice(owner, "gradient_clip", self.gradient_clip, clips)
        check_number(owner, "clip_limit", self.clip_limit, "(0, inf]")
        check_flag(owner, "metropolis_hastings", self.metropolis_hastings)
        check_choice(owner, "boundary", self.boundary, ["clamp", "reject"])
        check_integer(owner, "num_parts", self.num_parts, 1)
        problem = self._problem()
        if problem:
            raise ValueError(f"LangevinChain: {problem}.")

    def _problem(self) -> str | None:
        """Name the first settings that do not go together, or None."""
        if self.metropolis_hastings and self.noise_std == 0:
            return "metropolis_hastings=True needs noise_std > 0"
        if (
            self.metropolis_hastings
            and self.bounds is not None
            and self.boundary == "clamp"
        ):
            return (
                "metropolis_hastings=True needs boundary='reject', because a "
                "clamped move has no proposal density"
            )
        return None

    @property
    def rejects(self) -> bool:
        """Whether a move may be refused."""
        out_of_box = self.bounds is not None and self.boundary == "reject"
        return self.metropolis_hastings or out_of_box

    def noise_std_at(self, step):
        """Return the standard deviation of the noise of step 0, 1, ..."""
        # A scalar costs nothing in double precision, and double-precision
        # states need it.
        step = tf.cast(step, tf.float64)
        return self.noise_std * NOISE_SCHEDULES[self.noise_schedule](step)

    def clip(self, gradient):
        """Apply the chain's clipping rule to a gradient."""
        if self.gradient_clip is None:
            return gradient
        return GRADIENT_CLIPS[self.gradient_clip](gradient, self.clip_limit)

    def drift(self, gradient, temperature=1.0):
        """Return the deterministic part of a move: clipped, scaled (Eq. 8)."""
        return langevin_drift(self.clip(gradient), self.step_size, temperature)

    def clamp(self, x):
        """Move every element of the states to the nearest point of the box."""
        if self.bounds is None:
            return x
        return tf.clip_by_value(x, *self.bounds)

    def move(
        self, x, gradient, noise, step, temperature=1.0, project=_identity
    ):
        """Make move number `step`: clip, step, apply the bounds, project.

        Args:
            x: float [batch, ...], states.
            gradient: gradient of the energy at `x`, shape of `x`.
            noise: standard normal noise, shape of `x`.
            step: index of the move, int; the noise schedule depends on it.
            temperature: float > 0.
            project: function that brings states back to their space, applied
                last.

        Returns:
            Next states, shape of `x`.
        """
        drift = self.drift(gradient, temperature)
        y = langevin_step(x, drift, noise, self.noise_std_at(step))
        if self.boundary == "clamp":
            y = self.clamp(y)
        else:
            y = tf.where(_broadcast_like(self._inside(y), x), y, x)
        return project(y)

    def run(self, x, energy_fn: Callable, seed, temperature=1.0, project=None):
        """Run the chain from `x`.

        The final states carry no gradient. Every step draws its own noise from
        (seed, step), so the same seed repeats the same chain.

        Args:
            x: float [batch, ...], initial states.
            energy_fn: function from states to energies, float [batch].
            seed: stateless seed, int [2].
            temperature: float > 0.
            project: function that brings states back to their space after every
                move, or None.

        Returns:
            x: final states, shape of the initial ones.
            diagnostics: `ChainDiagnostics`.

        Raises:
            ValueError: if there is a projection with Metropolis-Hastings.
        """
        gradient_fn = self._in_parts(energy_fn)
        if self.metropolis_hastings:
            if project is not None:
                raise ValueError(
                    "LangevinChain: metropolis_hastings=True cannot be "
                    "combined with a projection, whose moves have no proposal "
                    "density."
                )
            return self._run_adjusted(x, gradient_fn, seed, temperature)
        return self._run_unadjusted(
            x, gradient_fn, seed, temperature, project or _identity
        )

    def _in_parts(self, energy_fn):
        """Return the function of energy and gradient, part by part."""
        whole = functools.partial(energy_and_gradient, energy_fn)
        if self.num_parts == 1:
            return whole
        # In the cyclic graph of a loop TensorFlow may find the gradient of a
        # max-pooling before the max-pooling itself, and then takes a kernel
        # that is ten times slower. A function that is not inlined is a graph of
        # its own without cycles.
        function = function_apart(whole)

        def gradient_fn(x):
            # No part may be empty: convolutions do not take it.
            count = tf.shape(x)[0]
            padded = pad_batch(x, self.num_parts)
            parts = [function(p) for p in split_batch(padded, self.num_parts)]
            energies, gradients = zip(*parts, strict=True)
            energy, gradient = tf.concat(energies, 0), tf.concat(gradients, 0)
            return energy[:count], tf.ensure_shape(gradient[:count], x.shape)

        return gradient_fn

    def _run_unadjusted(self, x, gradient_fn, seed, temperature, project):
        def body(step, x, norm, moved):
            _, gradient = gradient_fn(x)
            noise = randomness.normal(
                tf.shape(x), randomness.fold_in(seed, step), x.dtype
            )
            y = self.move(x, gradient, noise, step, temperature, project)
            if self.rejects:
                axes = list(range(1, x.shape.rank))
                changed = tf.reduce_any(tf.not_equal(x, y), axes)
                moved += tf.reduce_mean(tf.cast(changed, tf.float32))
            else:
                moved += 1.0
            return step + 1, y, norm + _mean_norm(gradient), moved

        _, x, norm, moved = self._loop(body, (x, 0.0, 0.0))
        return x, self._diagnostics(x, norm, moved)

    def _run_adjusted(self, x, gradient_fn, seed, temperature):
        def body(step, x, energy, gradient, norm, accepted):
            step_seed = randomness.fold_in(seed, step)
            noise = randomness.normal(tf.shape(x), step_seed, x.dtype)
            noise_std = self.noise_std_at(step)
            drift = self.drift(gradient, temperature)
            y = langevin_step(x, drift, noise, noise_std)
            y_energy, y_gradient = gradient_fn(y)
            log_ratio = metropolis_hastings_log_ratio(
                x,
                y,
                energy,
                y_energy,
                drift,
                self.drift(y_gradient, temperature),
                noise_std,
                temperature,
            )
            # A second stream of the step's seed: independent of the noise.
            coin = randomness.uniform(
                tf.shape(energy), randomness.fold_in(step_seed, 1), energy.dtype
            )
            # The density outside the box is zero, so leaving it is rejected.
            accept = (tf.math.log(coin) < log_ratio) & self._inside(y)
            keep = _broadcast_like(accept, x)
            return (
                step + 1,
                tf.where(keep, y, x),
                tf.where(accept, y_energy, energy),
                tf.where(keep, y_gradient, gradient),
                norm + _mean_norm(gradient),
                accepted + tf.reduce_mean(tf.cast(accept, tf.float32)),
            )

        energy, gradient = gradient_fn(x)
        state = self._loop(body, (x, energy, gradient, 0.0, 0.0))
        _, x, _, _, norm, accepted = state
        return x, self._diagnostics(x, norm, accepted)

    def _loop(self, body, state):
        return tf.nest.map_structure(
            tf.stop_gradient,
            tf.while_loop(
                lambda step, *_: step < self.num_steps,
                body,
                (tf.constant(0), *state),
                maximum_iterations=self.num_steps,
            ),
        )

    def _inside(self, x):
        """Return whether a chain is inside the box, bool [batch]."""
        if self.bounds is None:
            return tf.fill([tf.shape(x)[0]], True)
        low, high = self.bounds
        axes = list(range(1, x.shape.rank))
        return tf.reduce_all((x >= low) & (x <= high), axes)

    def _diagnostics(self, x, norm_sum, accepted_sum):
        steps = float(max(self.num_steps, 1))
        acceptance = accepted_sum / steps if self.num_steps else 1.0
        at_bound = tf.constant(0.0)
        if self.bounds is not None:
            low, high = self.bounds
            at_edge = (x <= low) | (x >= high)
            at_bound = tf.reduce_mean(tf.cast(at_edge, tf.float32))
        return ChainDiagnostics(
            norm_sum / steps, tf.convert_to_tensor(acceptance), at_bound
        )
