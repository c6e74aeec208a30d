"""The contract of every method: a Keras model that scores outliers.

A subclass implements `outlier_score` (higher is more outlying) and the methods
of `LossModel`. Its bases check examples and train.
"""

import functools
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.fitting import COMPILED, TrainedByKeras
from nae_tf.base.forks import refuse_forked
from nae_tf.base.input_checks import (
    BAD_INPUT,
    as_batches,
    explain_bad_input,
    pick,
    pick_in_all,
    value_checks,
)
from nae_tf.base.randomness import layer_seeds
from nae_tf.base.retracing import without_retracing_warnings
from nae_tf.base.saving import deserialize_arguments, rebuild
from nae_tf.base.standardization import ROWS, moments

# Begins the names of states of random numbers in a file of Keras.
_SEED = "layer_seed."


class OutlierDetector(TrainedByKeras):
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

    def __call__(self, *args, **kwargs):
        """Call the model; bad input is one line, as from every method."""
        with explain_bad_input():
            for x in args[:1]:
                pick(x, None)  # Of a dictionary `predict` has to name a key.
            return super().__call__(*args, **kwargs)

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
        refuse_forked(type(self).__name__)
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

    @without_retracing_warnings()
    def predict(self, x, *args, key: str | None = None, **kwargs):
        """Call the model on batches, with the arguments of `keras.Model`.

        Args:
            x: examples, as Keras takes them; also data frames, as `fit`.
            *args: further arguments of `keras.Model.predict`.
            key: name of the examples in dictionaries, as in `fit`.
            **kwargs: further arguments of `keras.Model.predict`.

        Raises:
            ValueError: if the examples do not fit the model.
        """
        x = self._values(pick_in_all(x, key))
        with explain_bad_input():
            return super().predict(x, *args, **kwargs)

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

    # --- Saving -------------------------------------------------------------

    def save_own_variables(self, store):
        """Write the model's own variables, and the seeds of its layers."""
        super().save_own_variables(store)
        for index, seed in enumerate(layer_seeds(self)):
            store[f"{_SEED}{index}"] = keras.ops.convert_to_numpy(seed)

    def load_own_variables(self, store):
        """Read the model's own variables, ready for those of the optimizer.

        Keras reads the optimizer's state next, and skips it where it has not
        been created: a compiled model would go on with an optimizer of its own.
        Older files have no seeds; those of the layers stay as they are.
        """
        values = {name: store[name] for name in sorted(store.keys())}
        for index, seed in enumerate(layer_seeds(self)):
            if (state := values.get(f"{_SEED}{index}")) is not None:
                seed.assign(state)
        own = {k: v for k, v in values.items() if not k.startswith(_SEED)}
        super().load_own_variables(own)
        self._build_optimizer()

    def get_config(self):
        """Return the constructor's arguments and the state that Keras omits.

        It is whether the model trains, and names of features if it has some.
        """
        config = super().get_config()
        config["trainable"] = self.trainable
        if self.frame_columns.names is not None:
            config["feature_names"] = list(self.frame_columns.names)
        return config

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
            if not name.startswith(COMPILED)
        }
