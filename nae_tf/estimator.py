"""NAE for tables, as a scikit-learn outlier detector.

    NAEDetector(contamination=0.05).fit(x).predict(x_new)

Features are standardised, so that all have the same weight. Signs are those of
scikit-learn: a high `score_samples` is normal, `predict` returns +1 for inliers
and -1 for outliers.
"""

import contextlib
import random
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nae_tf import samplers
from nae_tf.base.input_checks import refuse_masked
from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.data.sources import ArrayExamples
from nae_tf.nae import NAE
from nae_tf.networks.fc_res2 import FCRes2Decoder, FCRes2Encoder
from nae_tf.networks.mlp import MLPDecoder, MLPEncoder
from nae_tf.samplers import OnManifold

# Path of the samplers' classes in older pickled detectors.
sys.modules.setdefault("nae_tf.on_manifold", samplers)

# In single precision the score of an example would depend on its batch.
_DTYPE = "float64"
# Tracing a training step takes as long as this many steps without a graph.
_MIN_STEPS_TO_TRACE = 30
_MAX_LATENT_DIM = 32


def mlp_networks(num_features: int, latent_dim: int):
    """Return a multilayer perceptron and its mirror image."""
    shape = (num_features,)
    return (
        MLPEncoder(latent_dim, shape, (128, 128), dtype=_DTYPE),
        MLPDecoder(latent_dim, shape, (128, 128), None, dtype=_DTYPE),
    )


def fc_res2_networks(num_features: int, latent_dim: int):
    """Return the paper's networks for vectors, narrower and with two blocks."""
    sizes: dict[str, Any] = {"units": 64, "hidden_units": 256, "num_blocks": 2}
    return (
        FCRes2Encoder(latent_dim, num_features, **sizes, dtype=_DTYPE),
        FCRes2Decoder(latent_dim, num_features, **sizes, dtype=_DTYPE),
    )


NETWORKS: dict[str, Callable] = {
    "FCRes2": fc_res2_networks,
    "MLP": mlp_networks,
}


class NAEDetector(OutlierMixin, BaseEstimator):
    """Outlier detection by a Normalized Autoencoder, for arrays and tables.

    Args:
        contamination: share of outliers in the training data, in (0, 0.5]; as
            many training examples are predicted to be outliers.
        networks: "FCRes2", "MLP", which is about twice as fast, or a function
            (num_features, latent_dim) -> (encoder, decoder) of Keras models.
            Pickling needs a function that can be imported.
        latent_dim: size of the latents, >= 2; None means half the number of
            features, but 2 to 32.
        latent_space: `Sphere()` (None) or `Euclidean()`.
        sampler: `Sampler` of the `NAE`; None means `OnManifold.for_tables()`.
        pretraining_epochs: epochs of the autoencoder, >= 0.
        epochs: epochs of the NAE after it, >= 0.
        batch_size: number of examples per step, > 0; all of them where there
            are fewer.
        pretraining_learning_rate: learning rate of Adam for the autoencoder,
            > 0.
        learning_rate: learning rate of Adam for the NAE, > 0.
        random_state: int, `numpy.random.RandomState` or None, as in
            scikit-learn's glossary.

    Attributes:
        model_: the fitted `NAE`; it takes standardised features.
        scaler_: the fitted `sklearn.preprocessing.StandardScaler`.
        offset_: float; `decision_function` is `score_samples` minus it.
        n_features_in_: number of features.
        feature_names_in_: names of the features, if the training data had
            names.

    Example:
        >>> import numpy as np
        >>> from nae_tf import NAEDetector
        >>> x_train = np.random.default_rng(0).normal(size=(200, 3))
        >>> detector = NAEDetector(
        ...     contamination=0.05, networks="MLP", epochs=1, random_state=0
        ... )
        >>> detector.fit(x_train).predict([[0.1, 0.1, 0.1], [9.0, 9.0, 9.0]])
        array([ 1, -1])
    """

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        networks="FCRes2",
        latent_dim: int | None = None,
        latent_space=None,
        sampler=None,
        pretraining_epochs: int = 50,
        epochs: int = 10,
        batch_size: int = 128,
        pretraining_learning_rate: float = 1e-3,
        learning_rate: float = 1e-4,
        random_state=None,
    ):
        self.contamination = contamination
        self.networks = networks
        self.latent_dim = latent_dim
        self.latent_space = latent_space
        self.sampler = sampler
        self.pretraining_epochs = pretraining_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.pretraining_learning_rate = pretraining_learning_rate
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X, y=None):
        """Pre-train the autoencoder, then train the NAE.

        Args:
            X: float [num_examples, num_features], mostly inliers.
            y: ignored; scikit-learn passes it.

        Returns:
            The detector itself.

        Raises:
            ValueError: if data are not finite numbers, or a setting is out of
                range.
        """
        self._check_settings()
        refuse_masked(X)
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.scaler_ = _fit_scaler(X)
        examples = ArrayExamples(
            name="training data",
            size=len(X),
            shape=X.shape[1:],
            num_levels=None,
            read=lambda: self.scaler_.transform(X),
        )
        model = self._make_model(seed)
        self._fit_phase(
            model.autoencoder(),
            examples,
            self.pretraining_learning_rate,
            self.pretraining_epochs,
            seed,
        )
        # The second phase has another order of examples.
        self._fit_phase(
            model, examples, self.learning_rate, self.epochs, seed + 1
        )
        self.model_ = model
        self.offset_ = float(
            np.percentile(self._scores(X), 100 * self.contamination)
        )
        if not np.isfinite(self.offset_):
            raise ValueError(
                "NAEDetector: the training diverged, the scores of its own "
                "examples are not finite; lower learning_rate, or clip the "
                "gradients of the sampler's chains."
            )
        return self

    def score_samples(self, X) -> np.ndarray:
        """Score examples: the negative energy; low is outlying.

        Args:
            X: float [num_examples, num_features].

        Returns:
            float64 [num_examples], <= 0.
        """
        check_is_fitted(self)
        refuse_masked(X)
        return self._scores(
            validate_data(self, X, dtype=np.float64, reset=False)
        )

    def decision_function(self, X) -> np.ndarray:
        """Score examples relative to `offset_`; negative is outlying.

        Args:
            X: float [num_examples, num_features].

        Returns:
            float64 [num_examples].
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> np.ndarray:
        """Predict whether examples are inliers or outliers.

        Args:
            X: float [num_examples, num_features].

        Returns:
            int [num_examples], +1 for inliers and -1 for outliers.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __setstate__(self, state):
        """Restore a pickle; older ones have mean and scale, but no scaler."""
        if "mean_" in state:
            state = dict(state)
            scaler = StandardScaler()
            scaler.mean_ = state.pop("mean_")
            scaler.scale_ = state.pop("scale_")
            scaler.var_ = scaler.scale_**2
            scaler.n_features_in_ = len(scaler.mean_)
            state["scaler_"] = scaler
        super().__setstate__(state)

    def _scores(self, X):
        scores = -self.model_.predict_outlier_score(
            self.scaler_.transform(X), 1024
        )
        # An example whose energy overflows is an outlier.
        return np.where(np.isnan(scores), -np.inf, scores)

    def _make_model(self, seed):
        num_features = self.n_features_in_
        latent_dim = self.latent_dim
        if latent_dim is None:
            latent_dim = min(max((num_features + 1) // 2, 2), _MAX_LATENT_DIM)
        factory = NETWORKS.get(self.networks, self.networks)
        with _seeded(seed):
            encoder, decoder = factory(num_features, latent_dim)
            model = NAE(
                encoder,
                decoder,
                sampler=self.sampler or OnManifold.for_tables(),
                latent_space=self.latent_space,
                seed=seed,
                dtype=_DTYPE,
            )
            if not model.built:
                model.build((None, num_features))
        return model

    def _fit_phase(self, model, examples, learning_rate, epochs, seed):
        if epochs == 0:
            return
        batch_size = min(self.batch_size, examples.size)
        steps_per_epoch = -(-examples.size // batch_size)
        model.compile(
            keras.optimizers.Adam(learning_rate),
            run_eagerly=epochs * steps_per_epoch < _MIN_STEPS_TO_TRACE,
        )
        model.fit(
            examples.training_batches(batch_size, seed),
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            verbose=0,
        )

    def _check_settings(self):
        share = self.contamination
        check_number("NAEDetector", "contamination", share, "(0, 0.5]")
        # In a list, because a dictionary cannot look up values without a hash.
        if not callable(self.networks) and self.networks not in list(NETWORKS):
            raise ValueError(
                f"NAEDetector: expected networks in {sorted(NETWORKS)} or a "
                f"function, received {self.networks!r}."
            )
        for name, smallest in [
            ("pretraining_epochs", 0),
            ("epochs", 0),
            ("batch_size", 1),
            ("latent_dim", 2),
        ]:
            value = getattr(self, name)
            if value is None and name == "latent_dim":
                continue
            check_integer("NAEDetector", name, value, smallest)
        for name in ("pretraining_learning_rate", "learning_rate"):
            value = getattr(self, name)
            check_number("NAEDetector", name, value, "(0, inf)")


def _fit_scaler(X) -> StandardScaler:
    """Fit a scaler that divides no feature by rounding errors."""
    scaler = StandardScaler().fit(X)
    deviation = np.sqrt(scaler.var_)
    if not np.all(np.isfinite([scaler.mean_, deviation])):
        raise ValueError(
            "NAEDetector: expected features of finite mean and deviation, "
            f"received values up to {np.abs(X).max():g}; scale them first."
        )
    # The scaler allows for the rounding of its own sums. The values of a
    # constant feature may have been rounded more than that.
    is_constant = deviation <= 1e-12 * np.abs(scaler.mean_)
    scaler.scale_ = np.where(is_constant, 1.0, deviation)
    return scaler


@contextlib.contextmanager
def _seeded(seed: int):
    """Let Keras draw initial weights by a seed within the context.

    An initializer without a seed of its own takes one from Python's generator.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
