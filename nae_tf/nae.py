"""The Normalized Autoencoder (paper section 3, trained as in 4 and 6.1).

    p(x) = exp(-E(x) / T) / Omega                                     (Eq. 10)
    E(x) = |x - decode(encode(x))|^2 / D                               (Eq. 9)

Maximum likelihood lowers the reconstruction error of data and raises that of
samples of the model (Eq. 12), so outliers stop being reconstructed.
"""

import functools
import math
from typing import Any

import gin
import keras
import numpy as np
import tensorflow as tf

from nae_tf import losses
from nae_tf.autoencoder import Autoencoder
from nae_tf.base import randomness
from nae_tf.base.generation import GeneratesSamples, generation_seed
from nae_tf.base.input_checks import explain_bad_input, pick_in_all
from nae_tf.base.mixed_precision import full_precision, kernels_cast_once
from nae_tf.base.replicas import (
    apply_gradients,
    batch_share,
    global_mean,
    replica_id,
)
from nae_tf.base.setting_checks import check_number, check_seed, shown
from nae_tf.base.some_examples import first_examples
from nae_tf.base.step_budget import AUTO, RECIPE
from nae_tf.energy import unnormalized_log_density
from nae_tf.replay_buffer import HoldsReplayBuffer
from nae_tf.samplers import NegativeSample, OnManifold, Sampler, unit_of

# Of samples, in units of that of data in the first step, where alpha is "auto".
_HIGHEST_ENERGY = 4


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class NAE(HoldsReplayBuffer, GeneratesSamples, Autoencoder):
    """Normalized Autoencoder: an autoencoder trained as a normalised density.

    Images need pre-training (section 6.1): fit `model.autoencoder()`, which has
    the same networks, then the model itself.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf import NAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> images = np.random.default_rng(0).uniform(size=(64, 8, 8, 1))
        >>> model = NAE(
        ...     MLPEncoder(latent_dim=4, example_shape=(8, 8, 1)),
        ...     MLPDecoder(latent_dim=4, example_shape=(8, 8, 1)),
        ... )
        >>> pretraining = model.autoencoder()
        >>> pretraining.compile(keras.optimizers.Adam(1e-3))
        >>> history = pretraining.fit(images, epochs=2, verbose=0)
        >>> model.compile(keras.optimizers.Adam(1e-4))
        >>> history = model.fit(images, epochs=1, verbose=0)
        >>> model.predict_outlier_score(images).shape
        (64,)
    """

    budget = RECIPE.training
    # None also until the networks are built, as in the first step of `fit`.
    manifold: Any = None

    def __init__(
        self,
        encoder,
        decoder,
        sampler=None,
        latent_space=None,
        distance: str = "squared_error",
        reduction: str = "mean",
        negative_energy_penalty: float | str | None = None,
        encoder_l2: float = 0.0,
        decoder_l2: float = 0.0,
        latent_l2: float = 0.0,
        temperature: float = 1.0,
        temperature_learning_rate: float = 0.0,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Make a model of two networks and a sampler.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim]. Its output is linear, because the projection to the
                latent space follows.
            decoder: network from latents to float [batch, ...].
            sampler: `OnManifold`, `ContrastiveDivergence`,
                `PersistentContrastiveDivergence` or a `Sampler` of your own.
                None chooses chains when the model first sees data, in
                `pretrain` or `fit`, as `OnManifold.for_data` does.
            latent_space: `Sphere()` (the default) or `Euclidean()`.
            distance: "squared_error", "absolute_error" or "ssim" (section 2.1).
            reduction: "mean" or "sum" over the elements of an example.
            negative_energy_penalty: weight alpha of mean E(x')**2 in the loss,
                >= 0. None means 1, the paper's, with a sampler of your own and
                for images; for vectors the inverse of their variance, in whose
                unit energies are. "auto" means 1 / (8 E0), where E0 is the mean
                energy of data in the first step: samples are raised to four
                times E0 at most.
            encoder_l2: weight of the encoder's squared L2 norm in the loss,
                >= 0.
            decoder_l2: weight of the decoder's squared L2 norm in the loss,
                >= 0.
            latent_l2: weight of the mean squared latent of x and x' in the
                loss, >= 0; for `Euclidean` latents.
            temperature: temperature T > 0; the start value when T is trained.
            temperature_learning_rate: learning rate of log T, >= 0, in an Adam
                optimizer of its own; 0 keeps T fixed. The paper uses 100 times
                the rate of the networks.
            seed: seed of all sampling in training, int.
            name: name of the model.
            dtype: dtype policy of chain states; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_number("NAE", "temperature", temperature, "(0, inf)")
        for key, value in {
            "temperature_learning_rate": temperature_learning_rate,
            "latent_l2": latent_l2,
        }.items():
            check_number("NAE", key, value, "[0, inf)")
        self.bounds_energy = (
            isinstance(negative_energy_penalty, str)
            and negative_energy_penalty == AUTO
        )
        if negative_energy_penalty is not None and not self.bounds_energy:
            check_number(
                "NAE",
                "negative_energy_penalty",
                negative_energy_penalty,
                "[0, inf)",
            )
        if not isinstance(sampler, Sampler | None):
            raise ValueError(
                "NAE: expected sampler None or a sampler, received "
                f"{shown(sampler)}."
            )
        # Set first: super().__init__ builds the model, which needs them.
        # Until data are seen the default is the paper's for MNIST. Chains that
        # are chosen differ from it only in what the replay buffer does not see.
        self.chooses_chains = sampler is None
        self.chooses_penalty = sampler is None and (
            negative_energy_penalty is None
        )
        self.sampler = OnManifold.for_images() if sampler is None else sampler
        if negative_energy_penalty is None:
            negative_energy_penalty = 1.0
        self.negative_energy_penalty = negative_energy_penalty
        self.latent_l2 = latent_l2
        self.initial_temperature = temperature
        self.temperature_learning_rate = temperature_learning_rate
        self.seed = seed
        super().__init__(
            encoder,
            decoder,
            latent_space=latent_space,
            distance=distance,
            reduction=reduction,
            encoder_l2=encoder_l2,
            decoder_l2=decoder_l2,
            name=name,
            dtype=dtype,
        )

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The visible chain's box, which its samples never leave.

        None before the chains are chosen.
        """
        return (
            None if self.chooses_chains else self.sampler.visible_chain.bounds
        )

    @property
    def trains_temperature(self) -> bool:
        """Whether T is trained (section 6.2) or fixed."""
        return self.temperature_learning_rate > 0

    @property
    def temperature(self):
        """The temperature T, float scalar."""
        return tf.exp(tf.convert_to_tensor(self.log_temperature))

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track("loss", "positive_energy", "negative_energy", "energy_gap")
        if self.trains_temperature:
            self.track("temperature")
        if self.sampler.has_latent_chain:
            self.track("latent_gradient_norm")
        self.track("visible_gradient_norm")
        if self.sampler.visible_chain.rejects:
            self.track("visible_acceptance")
        if self.sampler.visible_chain.bounds is not None:
            self.track("visible_fraction_at_bound")

    def prepare_fit(self, x):
        """Choose the chains by the first data, if none were given.

        Args:
            x: examples, as Keras takes them. Of a `tf.data.Dataset` the first
                batches are read. Batches that can be read only once are taken
                for images in [0, 1], which their check then demands.

        Returns:
            `x`.

        Raises:
            ValueError: if the values are neither in [0, 1] nor standardised.
        """
        if self.chooses_chains:
            examples = first_examples(x)
            if examples is not None:
                examples = np.asarray(self.as_examples(examples))
            self._choose_chains(examples)
        return super().prepare_fit(x)

    def _choose_chains(self, examples):
        self.chooses_chains = False
        if examples is not None:
            try:
                self.sampler = OnManifold.for_data(examples)
            except ValueError:
                self.chooses_chains = True
                raise
            # Differs from the paper: where energies are small because values
            # vary little, a weight of 1 would penalise nothing.
            if self.chooses_penalty and examples.ndim == 2:
                self.negative_energy_penalty = 1.0 / unit_of(examples) ** 2
        if self.value_range is None:
            self.means.pop("visible_fraction_at_bound", None)
        self.forget_graphs()

    def pretrain(self, x, steps: int | str = AUTO, **kwargs):
        """Train the autoencoder of the same networks (section 6.1).

        Args:
            x: examples, as `fit` takes them.
            steps: number of steps, > 0; "auto" takes 1,500.
            **kwargs: further arguments of `fit`.

        Returns:
            `keras.callbacks.History` of the autoencoder.

        Raises:
            ValueError: if there are no examples, or they do not fit the model.

        Example:
            >>> import numpy as np
            >>> from nae_tf import NAE
            >>> from nae_tf.networks import MLPDecoder, MLPEncoder
            >>> x = np.random.default_rng(0).normal(size=(64, 4))
            >>> model = NAE(
            ...     MLPEncoder(2, (4,)),
            ...     MLPDecoder(2, (4,), output_activation=None),
            ... )
            >>> history = model.pretrain(x, steps=20, verbose=0)
            >>> history = model.fit(x, steps=10, verbose=0)
            >>> model.sampler.visible_chain.bounds is None  # Standardised data.
            True
        """
        if not isinstance(steps, str) and np.ndim(steps):
            raise ValueError(
                "NAE.pretrain: expected steps, received an array; labels are "
                "not used: leave them out."
            )
        picked = pick_in_all(x, kwargs.get("key"))
        first = first_examples(self._values(picked, learn=True))
        if first is not None and len(first):
            if not self.built:
                self.build((None, *first.shape[1:]))
            if self.chooses_chains:
                # Data that no chain fits are refused now, not by `fit`.
                with explain_bad_input():
                    self._choose_chains(np.asarray(self.as_examples(first)))
        return self.autoencoder().fit(x, steps=steps, **kwargs)

    def recipe_optimizer(self, steps: int):
        """Make the optimizer of `fit(steps=...)`: Adam with a falling rate.

        Args:
            steps: number of steps of the training.
        """
        rate = keras.optimizers.schedules.CosineDecay(
            self.budget.learning_rate, steps
        )
        return keras.optimizers.Adam(rate)

    def build(self, input_shape):
        """Build the networks, the temperature and the replay buffer."""
        super().build(input_shape)
        self.log_temperature = self.add_weight(
            name="log_temperature",
            shape=(),
            initializer=keras.initializers.Constant(
                math.log(self.initial_temperature)
            ),
            trainable=self.trains_temperature,
        )
        self.num_batches = self.add_weight(
            name="num_batches",
            shape=(),
            initializer="zeros",
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
        )
        if self.bounds_energy:
            self.first_energy = self.add_weight(
                name="first_energy",
                shape=(),
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
        if self.trains_temperature:
            self.temperature_optimizer = keras.optimizers.Adam(
                float(self.temperature_learning_rate)
            )
            self.temperature_optimizer.build([self.log_temperature])
        self.replay_buffer = self.sampler.make_buffer(
            self.example_shape, self.latent_shape, self.variable_dtype
        )
        self.manifold = self.sampler.make_manifold(self)

    def make_train_function(self, force: bool = False):
        """Begin to train, as `fit` and `train_on_batch` do, by Keras's way."""
        self._update_manifold()
        return super().make_train_function(force)

    def _update_manifold(self):
        """Copy the pre-trained networks, if the sampler needs them.

        They change until the first step, and from then on no longer.
        """
        if self.manifold is not None and not int(self.num_batches.numpy()):
            self.manifold.follow(self)

    def saved_children(self, children, save_type):
        """Leave the manifold of the chains out of exports."""
        children = super().saved_children(children, save_type)
        if save_type == "savedmodel":
            children.pop("manifold", None)
        return children

    def autoencoder(self) -> Autoencoder:
        """Return the autoencoder of the same networks, for pre-training."""
        model = Autoencoder(
            self.encoder,
            self.decoder,
            latent_space=self.latent_space,
            distance=self.distance,
            reduction=self.reduction,
            encoder_l2=self.encoder_l2,
            decoder_l2=self.decoder_l2,
            dtype=self.dtype_policy,
        )
        # What pre-training sees in one order, training must see in the same.
        model.frame_columns = self.frame_columns
        model.standardization = self.standardization
        return model

    def log_density(self, x):
        """Compute log p(x) up to the constant log Omega, -E(x) / T (Eq. 10).

        Args:
            x: float [batch, ...].

        Returns:
            float [batch].
        """
        return unnormalized_log_density(self.energy(x), self.temperature)

    def sample(self, num_samples: int, seed: int = 0) -> NegativeSample:
        """Generate samples of the model (section 6.4).

        Args:
            num_samples: number of samples, > 0.
            seed: seed of the samples, int; the same seed gives the same
                samples.

        Returns:
            `NegativeSample`, whose `x`, float [num_samples, ...], are the
            samples.

        Raises:
            ValueError: if the model has no weights yet, `num_samples` is out of
                range, or the sampler does not generate samples.
        """
        return super().sample(num_samples, seed)

    def generate(self, num_samples, seed):
        """Generate samples as `sample` does, inside a graph.

        Args:
            num_samples: number of samples, int scalar > 0; may be a tensor.
            seed: seed of the samples, int scalar; may be a tensor.

        Returns:
            `NegativeSample`.
        """
        seed = generation_seed(seed)
        dtype = self.variable_dtype
        with kernels_cast_once(self):
            negative = self.sampler.generate(self, num_samples, seed, dtype)
        return negative.in_units_of(self)

    def negative_samples(self, x, seed: int = 0) -> NegativeSample:
        """Draw negative samples as a training step would, but store none.

        Args:
            x: float [batch, ...], data. Contrastive divergence starts at them;
                other samplers use only their shape.
            seed: seed of the samples, int; the same seed gives the same
                samples.

        Returns:
            `NegativeSample` of the same batch size as `x`.

        Raises:
            ValueError: if the data do not fit the model, or the seed is out of
                range.
        """
        check_seed("NAE.negative_samples", seed)
        self.forget_graphs_of_other_networks()
        self._update_manifold()
        with explain_bad_input():
            x = self.as_examples(x)
        return self._compiled_draw(x, tf.constant(seed))

    @functools.cached_property
    def _compiled_draw(self):
        def draw(x, seed):
            # Training steps count from 0, `generate` uses -1.
            seed = randomness.step_seed(seed, -2)
            negative = self.sampler.draw(self, x, self.replay_buffer, seed)
            return negative.in_units_of(self)

        return tf.function(draw, autograph=False)

    def train_step(self, data):
        """Take one step of maximum likelihood on a batch (Eq. 12)."""
        if self.chooses_chains:  # Without `fit`, as in `train_on_batch`.
            self._choose_chains(None)
        x = self.training_examples(data)
        with kernels_cast_once(self):
            negative = self.sampler.draw(
                self, x, self.replay_buffer, self._step_seed()
            )
        with full_precision(self), tf.GradientTape(persistent=True) as tape:
            loss, positive_energy, negative_energy = self.loss_terms(
                x, negative.x
            )
        num_examples = tf.shape(x)[0]
        gap = losses.energy_gap(positive_energy, negative_energy)
        self.minimize(loss, tape, self._network_variables(), num_examples)
        # Freezing the model freezes T, too.
        if self.trains_temperature and self.log_temperature.trainable:
            self._update_temperature(gap, num_examples)
        if self.replay_buffer is not None:
            self.replay_buffer.push(self.sampler.stored_states(negative))
        if self.bounds_energy:
            self._keep_first_energy(positive_energy)
        self.num_batches.assign_add(1)
        return self.update_means(
            num_examples,
            loss=loss,
            positive_energy=positive_energy,
            negative_energy=negative_energy,
            energy_gap=gap,
            **self._chain_means(negative),
        )

    def loss_terms(self, x, x_negative):
        """Compute the loss of data and negative samples with the given weights.

        Args:
            x: float [batch, ...], data.
            x_negative: float [batch, ...], samples of the model, fixed.

        Returns:
            loss: float scalar.
            positive_energy: float [batch], E(x).
            negative_energy: float [batch], E(x').
        """
        # One pass for both, because calls dominate the cost of small networks.
        both = tf.concat([x, x_negative], 0)
        z = self.encode(both, training=True)
        energy = self.energy_of_latent(both, z, training=True)
        count = tf.shape(x)[0]
        positive_energy, negative_energy = energy[:count], energy[count:]
        loss = losses.energy_gap(positive_energy, negative_energy)
        penalty = losses.squared_energy(negative_energy)
        loss += tf.cast(self._penalty_weight(), penalty.dtype) * penalty
        loss += self.weight_penalty()
        if self.latent_l2:
            loss += self.latent_l2 * losses.mean_square(z)
        loss = self.regularize(loss, self.trainable_variables)
        return loss, positive_energy, negative_energy

    def test_step(self, data):
        """Measure the energy of a batch of data."""
        x = self.training_examples(data)
        return self.update_means(tf.shape(x)[0], positive_energy=self.energy(x))

    def _network_variables(self):
        # Every variable once, because tied networks share variables.
        return [
            variable
            for variable in self.trainable_variables
            if variable is not self.log_temperature
        ]

    def _penalty_weight(self):
        """Compute alpha, which is 0 in a first step that determines it."""
        if not self.bounds_energy:
            return self.negative_energy_penalty
        # Differs from the paper: with a weight of 1 the force on samples turns
        # around at an energy of 1/2, which those of images never reach, so that
        # energies of data and samples may rise together.
        return tf.math.divide_no_nan(
            1 / (2 * _HIGHEST_ENERGY), tf.convert_to_tensor(self.first_energy)
        )

    def _keep_first_energy(self, positive_energy):
        """Keep the mean energy of data of the first step."""
        is_first = tf.equal(tf.convert_to_tensor(self.num_batches), 0)
        kept = tf.convert_to_tensor(self.first_energy)
        mean = tf.cast(global_mean(positive_energy), kept.dtype)
        self.first_energy.assign(tf.where(is_first, mean, kept))

    def _step_seed(self):
        return randomness.step_seed(
            self.seed, tf.convert_to_tensor(self.num_batches), replica_id()
        )

    def _update_temperature(self, gap, num_examples):
        gap = tf.math.multiply_no_nan(gap, batch_share(num_examples, gap.dtype))
        with tf.GradientTape() as tape:
            log_temperature = tf.convert_to_tensor(self.log_temperature)
            loss = losses.temperature_loss(gap, log_temperature)
        gradient = tape.gradient(loss, self.log_temperature)
        apply_gradients(
            self.temperature_optimizer, [(gradient, self.log_temperature)]
        )

    def _chain_means(self, negative: NegativeSample):
        values = {"temperature": self.temperature, **negative.chain_means()}
        return {name: values[name] for name in values if name in self.means}

    def renamed_arguments(self) -> dict:
        """Return the start value of T, because training may have changed T."""
        chosen_later: dict[str, None] = {}
        if self.chooses_chains:
            chosen_later["sampler"] = None
            if self.chooses_penalty:
                chosen_later["negative_energy_penalty"] = None
        return super().renamed_arguments() | {
            "temperature": self.initial_temperature,
            **chosen_later,
        }
