"""The energy-based model of Du & Mordatch (2019), IGEBM.

    p(x) = exp(-E(x)) / Omega,   E a network with one output
    loss = mean E(x) - mean E(x')
           + energy_penalty * (mean E(x)^2 + mean E(x')^2)

x' are samples of the model, drawn by persistent chains. The energy is the
outlier score. All kernels but the last are divided by their spectral norm, so
that the energy cannot be steep. NAE differs in what E is (section 3.2).

References:
    Du & Mordatch, Implicit Generation and Modeling with Energy-Based Models,
        2019. https://arxiv.org/abs/1903.08689
"""

import types

import gin
import keras
import tensorflow as tf

from nae_tf import losses
from nae_tf.base import randomness
from nae_tf.base.generation import GeneratesSamples, generation_seed
from nae_tf.base.mixed_precision import full_precision
from nae_tf.base.replicas import call_network, replica_id
from nae_tf.base.setting_checks import check_number
from nae_tf.baselines.spectral_norm import (
    first_right_singular_vector,
    layers_with_kernel,
    normalized_kernels,
    power_iteration,
)
from nae_tf.langevin_chain import LangevinChain
from nae_tf.replay_buffer import HoldsReplayBuffer
from nae_tf.samplers import (
    NegativeSample,
    PersistentContrastiveDivergence,
    Sampler,
)

# Power iterations per training step. Adam moves every element of a kernel by
# its rate, and the norm of a large kernel by several percent per step.
_NUM_ITERATIONS = 5


@gin.register(module="nae_tf")
def energy_network(encoder):
    """Rebuild an encoder with a single output, the energy.

    Args:
        encoder: network of this package; its weights are not used.

    Returns:
        A network of the same configuration with one output.

    Raises:
        ValueError: if the encoder has no `latent_dim` to set to 1.

    Example:
        >>> from nae_tf.baselines import energy_network
        >>> from nae_tf.networks import MLPEncoder
        >>> encoder = MLPEncoder(latent_dim=2, example_shape=(4,))
        >>> energy_network(encoder).output_shape
        (None, 1)
    """
    config = encoder.get_config()
    if "latent_dim" not in config:
        raise ValueError(
            "energy_network: expected an encoder with the argument latent_dim, "
            f"received {type(encoder).__name__}; give IGEBM a network with one "
            "output instead."
        )
    return type(encoder).from_config(config | {"latent_dim": 1})


def sampler_of_the_paper() -> PersistentContrastiveDivergence:
    """Return the sampler of Du & Mordatch for images in [0, 1]."""
    chain = LangevinChain(
        num_steps=60,
        step_size=10.0,
        noise_std=0.005,
        gradient_clip="element",
        clip_limit=0.01,
        bounds=(0.0, 1.0),
    )
    return PersistentContrastiveDivergence(visible_chain=chain)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class IGEBM(HoldsReplayBuffer, GeneratesSamples):
    """An energy-based model whose energy is the output of a network.

    Called, the model returns the energy.

    Example:
        >>> import numpy as np
        >>> from nae_tf import LangevinChain, PersistentContrastiveDivergence
        >>> from nae_tf.baselines import IGEBM
        >>> from nae_tf.networks import MLPEncoder
        >>> model = IGEBM(
        ...     MLPEncoder(latent_dim=1, example_shape=(4,)),
        ...     PersistentContrastiveDivergence(
        ...         visible_chain=LangevinChain(5, 10.0, 0.005, bounds=(0, 1))
        ...     ),
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        network,
        sampler=None,
        energy_penalty: float = 1.0,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Make a model of a network and a sampler.

        Args:
            network: network from float [batch, ...] to energies, float
                [batch, 1], without an activation after its last layer. State
                that a layer changes when it is called, as batch normalisation,
                is lost.
            sampler: `PersistentContrastiveDivergence`, `ContrastiveDivergence`
                or a `Sampler` of your own without a latent chain. The default
                is the paper's, for values in [0, 1].
            energy_penalty: weight alpha of the squared energies in the loss,
                >= 0; the paper has 1.
            seed: seed of all sampling in training, int.
            name: name of the model.
            dtype: dtype policy of chain states; the network keeps its own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_number("IGEBM", "energy_penalty", energy_penalty, "[0, inf)")
        sampler = sampler_of_the_paper() if sampler is None else sampler
        if not isinstance(sampler, Sampler) or sampler.has_latent_chain:
            raise ValueError(
                "IGEBM: expected a sampler without a latent chain, because "
                f"there is no decoder, received {type(sampler).__name__}; use "
                "PersistentContrastiveDivergence."
            )
        super().__init__(name=name, dtype=dtype)
        self.network = network
        self.sampler = sampler
        self.energy_penalty = energy_penalty
        self.seed = seed
        self.track("loss", "positive_energy", "negative_energy")
        self.track("visible_gradient_norm")
        if sampler.visible_chain.rejects:
            self.track("visible_acceptance")
        if self.value_range is not None:
            self.track("visible_fraction_at_bound")
        if network.built and hasattr(network, "input_shape"):
            self.build(network.input_shape)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The visible chain's box, which its samples never leave."""
        return self.sampler.visible_chain.bounds

    @property
    def output_shape(self) -> tuple:
        """Shape of a batch of energies, (None,)."""
        return self.input_shape[:1]

    @property
    def num_batches(self):
        """Number of training steps, an int variable."""
        return self._step_counter

    def build(self, input_shape):
        """Build the network for examples of shape `input_shape[1:]`.

        Raises:
            ValueError: if the network has not one output per example.
        """
        self.example_shape = tuple(input_shape[1:])
        output = self.network(keras.KerasTensor((None, *self.example_shape)))
        if tuple(output.shape[1:]) != (1,):
            raise ValueError(
                "IGEBM: expected a network with one output, [batch, 1], "
                f"received [batch, {', '.join(map(str, output.shape[1:]))}]; "
                "energy_network(encoder) makes one of an encoder."
            )
        *self.normalized_layers, _ = layers_with_kernel(self.network)
        # Exact at first. Checkpoints hold attributes, but no lists.
        for number, layer in enumerate(self.normalized_layers):
            name = f"direction_{number}"
            setattr(self, name, self._direction(name, layer.kernel))
        self.replay_buffer = self.sampler.make_buffer(
            self.example_shape, (), self.variable_dtype
        )
        self.built = True

    @property
    def directions(self) -> list:
        """The direction that each normalised kernel stretches most."""
        count = len(self.normalized_layers)
        return [getattr(self, f"direction_{number}") for number in range(count)]

    def _direction(self, name, kernel):
        value = keras.ops.convert_to_numpy(kernel)
        vector = first_right_singular_vector(value)
        return self.add_weight(
            name=name,
            shape=vector.shape,
            initializer=lambda shape, dtype: tf.constant(vector, dtype),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    # --- Energy ---------------------------------------------------------------

    def normalized_kernels(self):
        """Return a context in which the network's kernels are normalised.

        The norms are computed once: within a chain the energy is one function.
        """
        return normalized_kernels(self.normalized_layers, self.directions)

    def turn_directions(self):
        """Adapt the directions to kernels that a training step has moved."""
        for layer, direction in zip(
            self.normalized_layers, self.directions, strict=True
        ):
            kernel = tf.cast(layer.kernel, direction.dtype)
            turned = tf.convert_to_tensor(direction)
            for _ in range(_NUM_ITERATIONS):
                turned = power_iteration(kernel, turned)
            direction.assign(turned)

    def _energy_with_kernels_as_they_are(self, x, training=False):
        energy = call_network(self.network, x, training)
        return tf.cast(energy[:, 0], x.dtype)

    def energy(self, x, training=False):
        """Compute the energy of examples.

        Args:
            x: float [batch, ...].
            training: whether the network runs in training mode.

        Returns:
            float [batch], in the type of `x`.
        """
        x = self.checked_tensor("energy", x)
        with self.normalized_kernels():
            return self._energy_with_kernels_as_they_are(x, training)

    def call(self, x, training=False):
        """Compute the energy of examples, float [batch]."""
        return self.energy(self.standardized(x), training)

    def outlier_score(self, x):
        """Score examples by their energy.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch], higher is more outlying.
        """
        return self.energy(x)

    # --- Samples --------------------------------------------------------------

    @property
    def _sampled(self):
        """What a sampler needs to know of the model."""
        return types.SimpleNamespace(
            energy=self._energy_with_kernels_as_they_are,
            temperature=1.0,
            example_shape=self.example_shape,
        )

    def generate(self, num_samples, seed) -> NegativeSample:
        """Generate samples as `sample` does, inside a graph.

        Args:
            num_samples: number of samples, int scalar > 0; may be a tensor.
            seed: seed of the samples, int scalar; may be a tensor.

        Returns:
            `NegativeSample`.
        """
        seed = generation_seed(seed)
        with self.normalized_kernels():
            negative = self.sampler.generate(
                self._sampled, num_samples, seed, self.variable_dtype
            )
        return negative.in_units_of(self)

    # --- Training -------------------------------------------------------------

    def train_step(self, data):
        """Take one step of maximum likelihood on a batch."""
        x = self.training_examples(data)
        negative = self.draw(x)
        with full_precision(self), tf.GradientTape(persistent=True) as tape:
            values = self.loss_terms(x, negative.x)
        num_examples = tf.shape(x)[0]
        variables = self.trainable_variables
        self.minimize(values["loss"], tape, variables, num_examples)
        self.turn_directions()
        if self.replay_buffer is not None:
            self.replay_buffer.push(self.sampler.stored_states(negative))
        return self.update_means(
            num_examples, **values, **self._chain_means(negative)
        )

    def test_step(self, data):
        """Measure the energy of a batch of data."""
        x = self.training_examples(data)
        return self.update_means(tf.shape(x)[0], positive_energy=self.energy(x))

    def draw(self, x) -> NegativeSample:
        """Draw the negative samples of the next training step.

        Args:
            x: float [batch, ...], data.

        Returns:
            `NegativeSample` of the same batch size as `x`.
        """
        seed = randomness.step_seed(
            self.seed, tf.convert_to_tensor(self.num_batches), replica_id()
        )
        with self.normalized_kernels():
            return self.sampler.draw(self._sampled, x, self.replay_buffer, seed)

    def loss_terms(self, x, x_negative) -> dict:
        """Compute the loss of data and negative samples.

        Args:
            x: float [batch, ...], data.
            x_negative: float [batch, ...], samples of the model, fixed.

        Returns:
            "loss", float scalar, "positive_energy" and "negative_energy", float
            [batch].
        """
        # One pass for both, as in NAE.
        both = self.energy(tf.concat([x, x_negative], 0), training=True)
        positive, negative = both[: tf.shape(x)[0]], both[tf.shape(x)[0] :]
        loss = losses.energy_gap(positive, negative)
        loss += self.energy_penalty * (
            losses.squared_energy(positive) + losses.squared_energy(negative)
        )
        return {
            "loss": self.regularize(loss, self.trainable_variables),
            "positive_energy": positive,
            "negative_energy": negative,
        }

    def _chain_means(self, negative: NegativeSample):
        means = negative.chain_means()
        return {name: means[name] for name in means if name in self.means}
