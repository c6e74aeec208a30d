"""The contract of every method: a Keras model that scores outliers.

A subclass implements `outlier_score` (higher is more outlying) and the methods
of `LossModel`. This class checks examples, so that bad data ends in one line
that says what to do.
"""

import functools
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.frame_columns import FrameColumns
from nae_tf.base.input_checks import (
    BAD_INPUT,
    as_batches,
    explain_bad_input,
    is_empty,
    not_floating,
    pick,
    pick_in_all,
    refuse_masked,
    refuse_sample_weight,
    shape_checks,
    value_checks,
)
from nae_tf.base.keras_ways import warn_of_distribution
from nae_tf.base.retracing import without_retracing_warnings
from nae_tf.base.saving import (
    deserialize_arguments,
    rebuild,
    serialize_arguments,
)
from nae_tf.base.standardization import ROWS, FeatureUnits, moments
from nae_tf.base.step_budget import RECIPE, arguments_of_budget

# Prefix of the names of cached properties that hold a `tf.function`.
_COMPILED = "_compiled_"


class OutlierDetector(FeatureUnits):
    """A Keras model with an outlier score.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> from nae_tf import OutlierDetector
        >>> class DistanceFromCenter(OutlierDetector):
        ...     def __init__(self, num_features):
        ...         super().__init__()
        ...         self.example_shape = (num_features,)
        ...         self.track("loss")
        ...         self.build((None, num_features))
        ...
        ...     def build(self, input_shape):
        ...         self.center = self.add_weight(shape=input_shape[1:])
        ...         self.built = True
        ...
        ...     def outlier_score(self, x):
        ...         return tf.reduce_sum((x - self.center) ** 2, axis=1)
        ...
        ...     def objective(self, x, training=False):
        ...         return {"loss": tf.reduce_mean(self.outlier_score(x))}
        >>> x = np.random.default_rng(0).normal(3.0, size=(64, 2))
        >>> model = DistanceFromCenter(num_features=2)
        >>> model.compile(keras.optimizers.Adam(0.1))
        >>> history = model.fit(x, epochs=40, verbose=0)
        >>> scores = model.predict_outlier_score([[3.0, 3.0], [9.0, 9.0]])
        >>> bool(scores[0] < scores[1])
        True
    """

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

    @without_retracing_warnings()
    def predict_outlier_score(
        self, x, batch_size: int = 256, key: str | None = None
    ) -> np.ndarray:
        """Score an array or batches of one, batch by batch.

        Args:
            x: float array, list, tensor or table [num_examples, ...]; or
                batches, with or without labels: a `tf.data.Dataset`, a
                `keras.utils.PyDataset`, a generator or another iterable. The
                columns of a data frame are put in the order of `fit` by their
                names.
            batch_size: examples per step, > 0; only for arrays.
            key: name of the examples where `x` or its batches are
                dictionaries, as those of tensorflow-datasets.

        Returns:
            float array [num_examples].

        Raises:
            ValueError: if there are no examples, or they do not fit the model.
        """
        self.forget_graphs_of_other_networks()
        if isinstance(x, Mapping):
            x, key = pick(x, key), None
        scores = []
        x = self._values(x)
        with explain_bad_input():
            for batch in as_batches(x, batch_size):
                examples, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
                examples = self.as_examples(pick(examples, key))
                if len(examples):  # Convolutions do not take an empty batch.
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

    # --- Names of features --------------------------------------------------

    @functools.cached_property
    def frame_columns(self) -> FrameColumns:
        """Names of the features, if `fit` was given a data frame."""
        return FrameColumns()

    def _values(self, x, learn=False):
        """Return a data frame's numbers; anything else stays as it is."""
        name = type(self).__name__
        return self.frame_columns.values(name, x, self.variable_dtype, learn)

    @without_retracing_warnings()
    def predict(self, x, *args, **kwargs):
        """Call the model on batches, with the arguments of `keras.Model`."""
        return super().predict(self._values(x), *args, **kwargs)

    # --- Units of features --------------------------------------------------

    def standardize(self, x, key: str | None = None):
        """Learn mean and standard deviation of every feature, and use them.

        From then on the model takes features in their own units: `fit`,
        `evaluate`, `predict`, `predict_outlier_score`, calls and exports
        standardise them first. Reconstructions and samples come in the units of
        the data. Energies, and so scores, are those of standardised features,
        and chains move in these. Methods on tensors of a graph, such as
        `energy` and `encode`, take what `as_examples` returns.

        The moments are saved with the weights: in `.keras` and `.weights.h5`
        files, in checkpoints and exports. `NAE.autoencoder` shares them.

        Args:
            x: the training data, as `predict_outlier_score` takes them. The
                features of images are their channels.
            key: name of the examples in dictionaries, as in `fit`.

        Returns:
            The model itself.

        Raises:
            ValueError: if there are no examples, they do not fit the model, or
                it takes values of a fixed range only.

        Example:
            >>> import numpy as np
            >>> from nae_tf import NAE, OnManifold
            >>> from nae_tf.networks import MLPDecoder, MLPEncoder
            >>> rng = np.random.default_rng(0)
            >>> x = rng.normal([300.0, 5e4], [2.0, 1e3], size=(64, 2))
            >>> model = NAE(
            ...     MLPEncoder(latent_dim=2, example_shape=(2,)),
            ...     MLPDecoder(latent_dim=2, example_shape=(2,)),
            ...     sampler=OnManifold.for_tables(),
            ... )
            >>> model = model.standardize(x)
            >>> model.compile("adam")
            >>> history = model.fit(x, epochs=1, verbose=0)
            >>> scores = model.predict_outlier_score([[300.0, 5e4], [9.0, 0.0]])
            >>> bool(scores[0] < scores[1])
            True
        """
        if self.value_range is not None:
            low, high = self.value_range
            raise ValueError(
                f"{type(self).__name__}.standardize: expected chains without "
                f"bounds, received bounds ({low:g}, {high:g}), which "
                "standardised features leave; choose "
                "sampler=OnManifold.for_tables()."
            )
        if isinstance(x, Mapping):
            x, key = pick(x, key), None

        def checked(batch):
            batch, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
            batch = self.shaped_examples(pick(batch, key))
            value_checks(batch, None)  # Not in a graph, so they run at once.
            return batch.numpy()

        batches = as_batches(self._values(x, learn=True), ROWS)
        with explain_bad_input():
            found = moments(map(checked, batches))
        self.reserve_standardization().assign(*found)
        return self

    # --- Training -----------------------------------------------------------

    def compile(
        self, optimizer="adam", loss=None, *, jit_compile=False, **kwargs
    ):
        """Configure training; the method brings its own loss.

        As in Keras, a setting that is changed later has no effect on compiled
        graphs, scores and samples included, until the next call of `compile`.

        Args:
            optimizer: a Keras optimizer, its name or its config.
            loss: None, at the position of the argument in Keras.
            jit_compile: whether XLA compiles the training step. On a CPU, XLA
                runs the chains several times slower, on a GPU several times
                faster (docs/guides/performance.md). XLA leaves out the checks
                of a batch's values: NaN ends in a NaN loss.
            **kwargs: further arguments of `keras.Model.compile`.

        Raises:
            ValueError: if a loss or metrics are given, which would be ignored,
                or if XLA is to compile for several parts of a CPU.
        """
        given = kwargs | {"loss": loss}
        for ignored in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if given.get(ignored) is not None:
                raise ValueError(
                    f"{type(self).__name__}.compile: expected no {ignored!r}, "
                    "because the method defines its own; received "
                    f"{given[ignored]!r}. Remove the argument."
                )
        if jit_compile and _divides_cpu(self.distribute_strategy):
            raise ValueError(
                f"{type(self).__name__}.compile: expected jit_compile=False on "
                "several parts of a CPU, because XLA does not reach the "
                "variables of all; leave it out, or train on one device."
            )
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self._refuse_clipping_of_parts()
        self.forget_graphs()

    def forget_graphs(self):
        """Forget traced graphs, because a setting in them has changed."""
        self.train_function = self.test_function = self.predict_function = None
        for name in [key for key in vars(self) if key.startswith(_COMPILED)]:
            delattr(self, name)

    def _refuse_clipping_of_parts(self):
        """Refuse an optimizer that would clip the gradient of each replica.

        Keras clips before it adds up the gradients of the replicas.
        """
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return
        for name in ("clipnorm", "global_clipnorm", "clipvalue"):
            if getattr(self.unscaled_optimizer, name, None) is not None:
                raise ValueError(
                    f"{type(self).__name__}.compile: expected an optimizer "
                    f"without {name} on several replicas, because Keras clips "
                    "the share of each by itself; leave it out, or train on "
                    "one device."
                )

    def get_compile_config(self):
        """Return the arguments of `compile`, serialised, or None."""
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "jit_compile": self.jit_compile,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config):
        """Compile a loaded model as it was when it was saved."""
        self.compile(**deserialize_arguments(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    @without_retracing_warnings()
    def fit(
        self,
        x=None,
        y=None,
        *args,
        key: str | None = None,
        steps: int | None = None,
        **kwargs,
    ):
        """Train with the arguments of `keras.Model.fit`; labels are ignored.

        The names of a data frame's columns stay with the model and its files.
        Data frames that it is given later are put in order by them.

        Args:
            x: examples, as Keras takes them.
            y: labels, ignored.
            *args: further arguments of `keras.Model.fit`.
            key: name of the examples where `x` is a dictionary or a
                `tf.data.Dataset` of dictionaries, as in tensorflow-datasets.
            steps: number of steps of the training, > 0, whatever the number of
                examples; shown as `epochs` (10) parts of equal length, to which
                it is rounded up. Arrays are shuffled and cut into batches of
                `batch_size` (64). A model that was not compiled trains with
                `recipe_optimizer`. None means as many as `epochs` passes over
                the examples take, as in Keras.
            **kwargs: further arguments of `keras.Model.fit`.

        Raises:
            ValueError: if there are no examples, they do not fit the model, or
                a number of steps is out of range.
        """
        warn_of_distribution()
        self.forget_graphs_of_other_networks()
        x = pick_in_all(x, key)
        if key is not None and "validation_data" in kwargs:
            kwargs["validation_data"] = pick_in_all(
                kwargs["validation_data"], key
            )
        if is_empty(x):
            raise ValueError(f"{BAD_INPUT} there are no examples to fit.")
        refuse_masked(x)
        x = self._values(x, learn=True)
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self.frame_columns.of_validation(
                f"{type(self).__name__}, validation_data",
                kwargs["validation_data"],
                self.variable_dtype,
            )
        refuse_sample_weight(kwargs.get("sample_weight"))
        with explain_bad_input():
            x = self.prepare_fit(x)
        if steps is not None:
            owner = f"{type(self).__name__}.fit"
            x, kwargs = arguments_of_budget(owner, x, steps, args, kwargs)
            y, args = None, ()
            self._compile_by_recipe(steps)
        try:
            with explain_bad_input():
                history = super().fit(x, y, *args, **kwargs)
        except BaseException:
            # Keras would use a step again that is traced only in part.
            self.train_function = None
            raise
        if history.epoch and not history.history:
            raise ValueError(f"{BAD_INPUT} there are no examples to fit.")
        return history

    def prepare_fit(self, x):
        """Do what a method does once, before its first step of training.

        Args:
            x: examples or batches of them, as `fit` has checked them.

        Returns:
            `x`, or the same examples where reading has used some up.
        """
        return x

    def recipe_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Make the optimizer of `fit(steps=...)` where none was chosen.

        Args:
            steps: number of steps of the training.
        """
        return keras.optimizers.Adam(RECIPE.pretraining_learning_rate)

    def _compile_by_recipe(self, steps):
        """Compile a model that its user has not compiled, for each `fit` anew.

        A learning rate that has fallen to 0 would train nothing again.
        """
        own = self.__dict__.get("_optimizer_of_recipe")
        if not self.compiled or self.optimizer is own:
            self.compile(self.recipe_optimizer(steps))
            self.__dict__["_optimizer_of_recipe"] = self.optimizer

    @without_retracing_warnings()
    def evaluate(
        self,
        x=None,
        y=None,
        *args,
        key: str | None = None,
        return_dict=False,
        **kwargs,
    ):
        """Evaluate with the arguments of `keras.Model.evaluate`.

        Args:
            x: examples, as Keras takes them.
            y: labels, ignored.
            *args: further arguments of `keras.Model.evaluate`.
            key: name of the examples in dictionaries, as in `fit`.
            return_dict: whether the result is a dictionary.
            **kwargs: further arguments of `keras.Model.evaluate`.

        Raises:
            ValueError: if there are no examples, or they do not fit the model.
        """
        self.forget_graphs_of_other_networks()
        x = pick_in_all(x, key)
        if is_empty(x):
            raise ValueError(f"{BAD_INPUT} there are no examples to evaluate.")
        refuse_masked(x)
        x = self._values(x)
        refuse_sample_weight(kwargs.get("sample_weight"))
        with explain_bad_input():
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

    def make_train_function(self, force=False):
        """Compile the training step after the optimizer's state is built.

        Keras builds the state while it traces the first step. If that step is
        refused, the state belongs to a graph that is gone, and no later step
        could train.
        """
        self._build_optimizer()
        return super().make_train_function(force)

    def _build_optimizer(self):
        """Create the optimizer's state, if model and optimizer allow it."""
        if self.built and self.compiled and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def build_for_fit(self, keras_build):
        """Build networks in `fit` that are not built yet.

        With several replicas they must be built before. Keras's method reduces
        a batch over all replicas, which fails on several machines (Keras issue
        20585). It also builds networks in a place where the variables of a
        replay buffer cannot be created.
        """
        if self.distribute_strategy.num_replicas_in_sync == 1:
            keras_build()
        elif not self.built:
            raise ValueError(
                f"{type(self).__name__}: the networks must be built before fit "
                "runs on several replicas; begin them with keras.Input."
            )

    # --- Saving -------------------------------------------------------------

    def load_own_variables(self, store):
        """Read the model's own variables, ready for those of the optimizer.

        Keras reads the optimizer's state next, and skips it where it has not
        been created: a compiled model would go on with an optimizer of its own.
        """
        super().load_own_variables(store)
        self._build_optimizer()

    def get_config(self):
        """Return the constructor's arguments and the state that Keras omits.

        It is whether the model trains, and names of features if it has some.
        """
        config = serialize_arguments(self, **self.renamed_arguments())
        config["trainable"] = self.trainable
        if self.frame_columns.names is not None:
            config["feature_names"] = list(self.frame_columns.names)
        return config

    def renamed_arguments(self) -> dict:
        """Return the constructor's arguments that are not attributes, by name.

        All others are attributes of the same name.
        """
        return {"dtype": self.dtype_policy}

    @classmethod
    def from_config(cls, config):
        """Rebuild a model from `get_config`."""
        arguments = deserialize_arguments(config)
        names = arguments.pop("feature_names", None)
        model = rebuild(cls, arguments)
        if names is not None:
            model.frame_columns.names = tuple(names)
        return model

    def saved_children(self, children, save_type):
        """Leave compiled functions out of exports.

        They belong to this process, and may hold a replay buffer, which a
        served model does not have.
        """
        if save_type != "savedmodel":
            return children
        return {
            name: child
            for name, child in children.items()
            if not name.startswith(_COMPILED)
        }

    # --- Checks -------------------------------------------------------------

    def training_examples(self, data):
        """Return the checked examples of a batch of `fit`."""
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        refuse_sample_weight(sample_weight)
        return self.as_examples(pick(x, None))

    def as_examples(self, x):
        """Check a batch of examples and bring it to the model's state type.

        Shape and dtype are checked at once, values when the graph runs. A model
        that standardises does it here.

        Args:
            x: array or tensor [batch, ...], in the units of the data.

        Returns:
            float tensor, shape of `x`, in the units of the networks.

        Raises:
            ValueError: if shape or dtype do not fit.
            InvalidArgumentError: if values are NaN, infinite or outside
                `value_range`.
        """
        x = self.shaped_examples(x)
        with tf.control_dependencies(value_checks(x, self.value_range)):
            return self.standardized(tf.identity(x))

    def shaped_examples(self, x):
        """Check shape and dtype as `as_examples` does, and change no value.

        Args:
            x: array or tensor [batch, ...].

        Returns:
            float tensor, shape of `x`.

        Raises:
            ValueError: if shape or dtype do not fit.
        """
        refuse_masked(x)
        x = tf.convert_to_tensor(self._values(x))
        if not x.dtype.is_floating:
            raise ValueError(not_floating(x.dtype))
        if not self.built:
            with tf.init_scope():
                self.build((None, *x.shape[1:]))
        x = tf.cast(x, self.variable_dtype)
        with tf.control_dependencies(shape_checks(x, self.example_shape)):
            return tf.ensure_shape(x, (None, *self.example_shape))


def _divides_cpu(strategy):
    """Return whether a strategy has several replicas here that are not GPUs."""
    if strategy.num_replicas_in_sync == 1:
        return False
    devices = strategy.extended.worker_devices
    return not all("GPU" in device.upper() for device in devices)
