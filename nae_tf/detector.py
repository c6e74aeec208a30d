"""The contract of every method: a Keras model that scores outliers.

A subclass implements `outlier_score` (higher is more outlying) and `objective`,
or, where one loss is not enough, its own `train_step`. This class checks what
comes in, so that bad data ends in one line that says what to do, and keeps the
running means that `fit` shows.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from nae_tf import randomness
from nae_tf.input_checks import (
    BAD_INPUT,
    as_batches,
    is_empty,
    one_line_errors,
    refuse_sample_weight,
    shape_checks,
    value_checks,
)
from nae_tf.mixed_precision import full_precision
from nae_tf.randomness import Purpose
from nae_tf.replicas import batch_share, spans_machines
from nae_tf.serializable import deserialize_arguments, rebuild

# Names of cached properties that hold a `tf.function` begin so.
_COMPILED = "_compiled_"


class OutlierDetector(keras.Model):
    """A Keras model with an outlier score."""

    # Of the noise that a method trains with, if it has any.
    seed: int = 0

    def __init__(self, name=None, dtype=None):
        """Start with no metrics; subclasses name theirs by `track`."""
        # States and errors keep the precision of the data: the networks cast
        # their inputs themselves when a policy asks for less.
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.means: dict[str, keras.metrics.Mean] = {}

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Range (low, high) that inputs must be in, or None for any."""
        return None

    def outlier_score(self, x):
        """Score examples; higher is more outlying.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch].
        """
        raise NotImplementedError

    def predict_outlier_score(self, x, batch_size: int = 256) -> np.ndarray:
        """Score an array or batches of one, batch by batch.

        Args:
            x: float array, list, tensor or table [num_examples, ...]; or
                batches, with or without labels: a `tf.data.Dataset`, a
                `keras.utils.PyDataset`, a generator or another iterable.
            batch_size: examples a step; only for arrays.

        Returns:
            float array [num_examples].

        Raises:
            ValueError: if there are no examples or they are not what the model
                takes.
        """
        scores = []
        with one_line_errors():
            for batch in as_batches(x, batch_size):
                examples, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
                examples = self.as_examples(examples)
                scores.append(self._compiled_score(examples))
        if not scores:
            raise ValueError(f"{BAD_INPUT} there are no examples to score.")
        return np.concatenate(scores)

    @functools.cached_property
    def _compiled_score(self):
        signature = tf.TensorSpec(
            (None, *self.example_shape), self.variable_dtype
        )
        return tf.function(
            self.outlier_score, input_signature=[signature], autograph=False
        )

    # --- Training -----------------------------------------------------------

    def objective(self, x, training: bool = False) -> dict:
        """Compute the loss of a batch, and what `fit` shows beside it.

        Args:
            x: float [batch, ...], checked.
            training: whether a training step asks, or an evaluation.

        Returns:
            Tensors by the names that `track` was given, each a scalar or one
            value an example; the losses of `players` are scalars. They lack
            the regularisers that the weights bring along, see `regularize`.
        """
        raise NotImplementedError

    def players(self) -> dict[str, list]:
        """Return what every loss trains: variables by the loss's name."""
        return {"loss": self.trainable_variables}

    def regularize(self, loss, variables):
        """Add the regularisers that variables bring along to their loss.

        Args:
            loss: float scalar.
            variables: each one once.

        Returns:
            float scalar; `loss` itself if no variable has a regulariser.

        Raises:
            ValueError: a layer regularises its outputs or calls `add_loss`.
        """
        expected = [v for v in self.trainable_variables if v.regularizer]
        if len(self.losses) > len(expected):
            # Chains call the networks many times a step, and Keras would add
            # every call's.
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
            training: whether a training step asks, or an evaluation.
            shared: whether all replicas are to draw the same noise.
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
        # `iterations` counts updates. It stands still while gradients are
        # accumulated, and those steps would share their noise.
        optimizer = self.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer
        return optimizer._iterations

    def track(self, *names: str):
        """Make a running mean for every name; call it in `__init__`."""
        for name in names:
            self.means[name] = keras.metrics.Mean(name=name)

    @property
    def metrics(self):
        """The running means, which `fit` resets at every epoch."""
        return list(self.means.values())

    def update_means(self, num_examples, **values):
        """Add a batch to the running means and return their results.

        Args:
            num_examples: int scalar, weight of the batch; a replica may have
                none of the last batch of an epoch.
            **values: float tensors by name, each a scalar mean over the batch
                or one value an example.

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
            # Keras averages over the first axis there.
            return {name: result[None] for name, result in results.items()}
        return results

    def compile(self, optimizer="adam", jit_compile=False, **kwargs):
        """Configure training; the method brings its own loss.

        As in Keras, a setting that is changed later has no effect on what is
        compiled already, scores and samples included, until the next call.

        Args:
            optimizer: a Keras optimizer, its name or its config.
            jit_compile: compile the training step with XLA. Off unless asked
                for: on a CPU, XLA runs the chains several times slower.
            **kwargs: further arguments of `keras.Model.compile`.

        Raises:
            ValueError: if a loss or metrics are given; they would be ignored.
        """
        for ignored in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if kwargs.get(ignored) is not None:
                raise ValueError(
                    f"{type(self).__name__}.compile: expected no {ignored!r}, "
                    "because the method defines its own; received "
                    f"{kwargs[ignored]!r}. Remove the argument."
                )
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        for name in [key for key in vars(self) if key.startswith(_COMPILED)]:
            delattr(self, name)

    def get_compile_config(self):
        """Return the arguments of `compile`, serialised, or None."""
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config):
        """Compile a loaded model as it was when it was saved."""
        self.compile(**deserialize_arguments(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Train; see `keras.Model.fit`. Labels, if any, are not looked at.

        Raises:
            ValueError: if there are no examples or they are not what the model
                takes.
        """
        if is_empty(x):
            raise ValueError(f"{BAD_INPUT} there are no examples to fit.")
        refuse_sample_weight(kwargs.get("sample_weight"))
        with one_line_errors():
            history = super().fit(x, y, *args, **kwargs)
        if history.epoch and not history.history:
            raise ValueError(f"{BAD_INPUT} there are no examples to fit.")
        return history

    def evaluate(self, x=None, y=None, *args, return_dict=False, **kwargs):
        """Evaluate; see `keras.Model.evaluate`.

        Raises:
            ValueError: as in `fit`.
        """
        if is_empty(x):
            raise ValueError(f"{BAD_INPUT} there are no examples to evaluate.")
        refuse_sample_weight(kwargs.get("sample_weight"))
        with one_line_errors():
            shown = super().evaluate(x, y, *args, return_dict=True, **kwargs)
        if not shown:
            raise ValueError(f"{BAD_INPUT} there are no examples to evaluate.")
        # Keras averages over replicas, some of which saw fewer examples.
        results = {
            name: float(mean.result())
            for name, mean in self.means.items()
            if name in shown
        }
        if return_dict:
            return results
        first, *others = results.values()
        return [first, *others] if others else first

    def minimize(self, loss, tape, variables, num_examples):
        """Take one optimizer step on `variables`.

        Args:
            loss: float scalar, mean over this replica's examples.
            tape: the tape that recorded `loss`; it records on.
            variables: what to train.
            num_examples: int scalar, number of this replica's examples.
        """
        self.minimize_each([(loss, variables)], tape, num_examples)

    def minimize_each(self, losses, tape, num_examples):
        """Take one optimizer step in which every loss moves its own variables.

        Args:
            losses: pairs of a loss and its variables, see `minimize`; no
                variable is in two of them.
            tape: the tape that recorded the losses; it records on.
            num_examples: int scalar, number of this replica's examples.
        """
        if not self.optimizer.built:
            # All variables, as a reloaded model has: the saved state matches.
            self.optimizer.build(self.trainable_variables)
        updates: list[tuple] = []
        for loss, variables in losses:
            share = batch_share(num_examples, loss.dtype)
            with tape:
                # Keras sums gradients over replicas. A loss of no example is
                # NaN.
                loss = tf.math.multiply_no_nan(loss, share)
                loss = self.optimizer.scale_loss(loss)
            gradients = tape.gradient(loss, variables)
            updates += zip(gradients, variables, strict=True)
        if updates:
            self.optimizer.apply_gradients(updates)
        else:
            # All is frozen, as where only a temperature is trained. The step
            # counts all the same: callbacks go by it.
            self._step_counter.assign_add(1)

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Build, in `fit`, what is not built yet.

        Keras's own way reduces a batch over all replicas, which fails on
        several machines (keras-team/keras issue 20585), and builds the networks
        where the variables of a replay buffer cannot be made. With several
        replicas they must be built, so that nothing is left to do but the
        optimizer.
        """
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super()._maybe_symbolic_build(*args, **kwargs)
        if not self.built:
            raise ValueError(
                f"{type(self).__name__}: the networks must be built before fit "
                "runs on several replicas; begin them with keras.Input."
            )
        if self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    # --- Saving -------------------------------------------------------------

    def serialize_arguments(self, *names: str) -> dict:
        """Return a config of the constructor's arguments.

        Args:
            *names: arguments that are attributes of the same name; `name` and
                `dtype` are added, and `trainable`, which is no argument.
        """
        serialize = keras.saving.serialize_keras_object
        config = {name: serialize(getattr(self, name)) for name in names}
        return config | {
            "name": self.name,
            "dtype": serialize(self.dtype_policy),
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild a model from `get_config`."""
        return rebuild(cls, deserialize_arguments(config))

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        children = super()._trackable_children(save_type, **kwargs)
        if save_type != "savedmodel":
            return children
        # Compiled functions are of this process; they may hold what a served
        # model lacks, a replay buffer.
        return {
            name: child
            for name, child in children.items()
            if not name.startswith(_COMPILED)
        }

    # --- Checks -------------------------------------------------------------

    def training_examples(self, data):
        """Return the checked examples of a batch that `fit` hands out."""
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        refuse_sample_weight(sample_weight)
        return self.as_examples(x)

    def as_examples(self, x):
        """Check a batch of examples and bring it to the model's state type.

        Shape and dtype are checked at once, values when the graph runs.

        Args:
            x: array or tensor [batch, ...].

        Returns:
            float tensor, same shape as `x`.

        Raises:
            ValueError: wrong shape or dtype.
            tf.errors.InvalidArgumentError: NaN, infinity, or values outside
                `value_range`.
        """
        x = tf.convert_to_tensor(x)
        if not x.dtype.is_floating:
            raise ValueError(
                f"{BAD_INPUT} expected floating-point examples, received "
                f"{x.dtype.name}; convert them first, 8-bit images by "
                "x.astype('float32') / 255."
            )
        if not self.built:
            with tf.init_scope():
                self.build(x.shape)
        x = tf.cast(x, self.variable_dtype)
        with tf.control_dependencies(shape_checks(x, self.example_shape)):
            x = tf.ensure_shape(x, (None, *self.example_shape))
        with tf.control_dependencies(value_checks(x, self.value_range)):
            return tf.identity(x)
