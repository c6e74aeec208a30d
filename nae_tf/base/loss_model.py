"""Training steps of a method with one loss, or with the losses of a game."""

import keras
import tensorflow as tf

from nae_tf.base import private, randomness
from nae_tf.base.mixed_precision import full_precision
from nae_tf.base.randomness import Purpose
from nae_tf.base.replicas import (
    apply_gradients,
    batch_share,
    spans_machines,
)
from nae_tf.base.setting_checks import check_seed


class LossModel(private.HookedModel):
    """A Keras model that has its own loss and reports the terms of it.

    A subclass implements `objective`, or, where the loss needs more than a
    batch of data, its own `train_step`.
    """

    def __init__(self, name=None, dtype=None):
        """Start with no metrics; subclasses name theirs by `track`."""
        # States and errors keep the precision of the data: the networks cast
        # their inputs themselves when a policy asks for less.
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.means: dict[str, keras.metrics.Mean] = {}

    @property
    def seed(self) -> int:
        """Seed of the noise of methods that train with noise."""
        return getattr(self, "_seed", 0)

    @seed.setter
    def seed(self, seed: int):
        # A graph may vary it; its argument has no value to check.
        if not tf.is_symbolic_tensor(seed):
            check_seed(type(self).__name__, seed)
        self._seed = seed

    def training_examples(self, data):
        """Return the checked examples of a batch of `fit`."""
        raise NotImplementedError

    def objective(self, x, training: bool = False) -> dict:
        """Compute the loss of a batch and the other metrics of `fit`.

        Args:
            x: float [batch, ...], checked examples.
            training: whether this is a training step or an evaluation.

        Returns:
            Tensors by the names of `track`, each a scalar or one value per
            example. The losses of `players` are scalars; `regularize` adds the
            regularisers of weights later.
        """
        raise NotImplementedError

    def players(self) -> dict[str, list]:
        """Return the variables that every loss trains, by name of the loss."""
        return {"loss": self.trainable_variables}

    def regularize(self, loss, variables):
        """Add the regularisers of variables to their loss.

        Args:
            loss: float scalar.
            variables: variables of the loss, each one once.

        Returns:
            float scalar; `loss` itself if no variable has a regulariser.

        Raises:
            ValueError: if a layer regularises its outputs or calls `add_loss`.
        """
        expected = [v for v in self.trainable_variables if v.regularizer]
        if len(self.losses) > len(expected):
            # Chains call the networks many times per step, and Keras would add
            # the losses of every call.
            raise ValueError(
                f"{type(self).__name__}: expected networks without activity "
                "regularisers and add_loss, because a training step calls them "
                "many times; remove them, or regularise weights "
                "(kernel_regularizer)."
            )
        penalties = [v.regularizer(v) for v in variables if v.regularizer]
        if not penalties:
            return loss
        return tf.add_n([loss, *(tf.cast(p, loss.dtype) for p in penalties)])

    def _regularized_objective(self, x, training=False):
        values = self.objective(x, training)
        return values | {
            name: self.regularize(values[name], variables)
            for name, variables in self.players().items()
        }

    def train_step(self, data):
        """Lower the loss of a batch, or every player its own."""
        x = self.training_examples(data)
        with full_precision(self), tf.GradientTape(persistent=True) as tape:
            values = self._regularized_objective(x, training=True)
        num_examples = tf.shape(x)[0]
        losses = [
            (values[name], variables)
            for name, variables in self.players().items()
        ]
        self.minimize_each(losses, tape, num_examples)
        return self.update_means(num_examples, **values)

    def test_step(self, data):
        """Measure the loss of a batch."""
        x = self.training_examples(data)
        values = self._regularized_objective(x)
        return self.update_means(tf.shape(x)[0], **values)

    def noise_seed(self, training: bool, shared: bool = False):
        """Return the seed of a step's noise, int32 [2].

        It differs between steps and replicas of training; every evaluation
        sees the same noise.

        Args:
            training: whether this is a training step or an evaluation.
            shared: whether all replicas draw the same noise.
        """
        step, replica = -1, 0
        if training:
            context = tf.distribute.get_replica_context()
            step = tf.convert_to_tensor(self._step_counter)
            replica = 0 if shared else context.replica_id_in_sync_group
        return randomness.fold_in(
            randomness.step_seed(self.seed, step, replica), Purpose.NOISE
        )

    @property
    def _step_counter(self):
        """The optimizer's count of training steps, an int variable."""
        # With `iterations`, steps that are accumulated would share their noise.
        return private.step_counter(self.unscaled_optimizer)

    @property
    def unscaled_optimizer(self):
        """The optimizer itself, without a `LossScaleOptimizer` around it."""
        optimizer = self.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return optimizer.inner_optimizer
        return optimizer

    def track(self, *names: str):
        """Create a running mean for every name; `__init__` calls this."""
        for name in names:
            self.means[name] = keras.metrics.Mean(name=name)

    @property
    def metrics(self):
        """The running means, which `fit` resets at every epoch."""
        return list(self.means.values())

    def update_means(self, num_examples, **values):
        """Add a batch to the running means and return their results.

        Args:
            num_examples: number of examples of the batch, int scalar; it is the
                weight of the batch. A replica may have no example of the last
                batch of an epoch.
            **values: float tensors by name, each a scalar mean over the batch
                or one value per example.

        Returns:
            Results by name.
        """
        for name, value in values.items():
            mean = tf.reduce_mean(value)
            # The mean over no example is NaN.
            mean = tf.where(num_examples > 0, mean, tf.zeros_like(mean))
            self.means[name].update_state(mean, sample_weight=num_examples)
        results = {name: self.means[name].result() for name in values}
        if spans_machines(tf.distribute.get_strategy()):
            # On several machines Keras averages over the first axis.
            return {name: result[None] for name, result in results.items()}
        return results

    def minimize(self, loss, tape, variables, num_examples):
        """Take one optimizer step on `variables`.

        Args:
            loss: float scalar, mean over this replica's examples.
            tape: gradient tape that recorded `loss` and is still recording.
            variables: variables to train.
            num_examples: number of this replica's examples, int scalar.
        """
        self.minimize_each([(loss, variables)], tape, num_examples)

    def minimize_each(self, losses, tape, num_examples):
        """Take one optimizer step in which every loss moves its own variables.

        Args:
            losses: pairs of a loss, float scalar, and its variables; no
                variable is in two of them.
            tape: gradient tape that recorded the losses and is still recording.
            num_examples: number of this replica's examples, int scalar.
        """
        if not self.optimizer.built:
            # For all variables, so that the state fits that of a saved model.
            self.optimizer.build(self.trainable_variables)
        updates: list[tuple] = []
        for loss, variables in losses:
            share = batch_share(num_examples, loss.dtype)
            with tape:
                # Keras sums gradients over replicas. The loss of an empty batch
                # is NaN.
                loss = tf.math.multiply_no_nan(loss, share)
                loss = self.optimizer.scale_loss(loss)
            gradients = tape.gradient(loss, variables)
            updates += zip(gradients, variables, strict=True)
        if updates:
            apply_gradients(self.optimizer, updates)
        else:
            # All weights are frozen, as where only a temperature is trained.
            # The step still counts, because callbacks depend on the count.
            self._step_counter.assign_add(1)
