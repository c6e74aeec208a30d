"""NAE for tables, as a scikit-learn outlier detector.

    NAEDetector().fit(x).p_values(x_new)

Signs are those of scikit-learn: a high `score_samples` is normal, `predict`
returns +1 for inliers and -1 for outliers.
"""

import sys
import time
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nae_tf import samplers
from nae_tf.base.forks import refuse_forked
from nae_tf.base.input_checks import refuse_dates, refuse_masked
from nae_tf.base.private import names_from_the_start
from nae_tf.base.setting_checks import check_number
from nae_tf.base.ties import lowest_equal
from nae_tf.data.image_arrays import unit_images
from nae_tf.data.readers.codes import warn_of_codes
from nae_tf.data.sources import ArrayExamples
from nae_tf.networks.by_size import NETWORKS, image_networks
from nae_tf.tables import (
    TableFeatures,
    TableNAE,
    cross_conformal_p_values,
    folds,
    rounded,
)
from nae_tf.tables.column_checks import (
    column_names,
    refuse_identifiers,
    refuse_no_numbers,
    refuse_other_columns,
)
from nae_tf.tables.input_errors import in_one_line, warn_of_labels
from nae_tf.tables.one_nae import fit_phase, make_nae
from nae_tf.tables.scaling import TableScaler
from nae_tf.tables.settings import (
    check_settings,
    nae_steps,
    setting_or_default,
)

# Path of the samplers' classes in older pickled detectors.
sys.modules.setdefault("nae_tf.on_manifold", samplers)

_NUM_MEMBERS = 4
_REMEDY_OF_CODES = 'make it NaN, and set missing_values="mask"'


class NAEDetector(OutlierMixin, BaseEstimator):
    """Outlier detection by Normalized Autoencoders, for arrays and tables.

    By default eight small autoencoders are trained side by side (`TableNAE`).
    With `networks`, one `NAE` with these networks takes their place. Images
    get one `NAE`, too, with networks by their size: `X` is uint8, or float in
    [0, 1], [num_examples, height, width, channels] in every method.

    Args:
        contamination: share of outliers in the training data, in (0, 0.5]; as
            many training examples are predicted to be outliers. `select` needs
            no such share.
        networks: None for the ensemble; or "FCRes2", "MLP", or a function
            (num_features, latent_dim) -> (encoder, decoder) of Keras models.
            Pickling needs a function that can be imported. For images None or
            a function (image_shape, latent_dim) -> (encoder, decoder).
        latent_dim: size of the latents of `networks`, >= 2; None means half the
            number of features, but 2 to 32; with images 32.
        latent_space: latent space of `networks`, `Sphere()` (None) or
            `Euclidean()`.
        sampler: `Sampler` of the `NAE` of `networks`; None means
            `OnManifold.for_tables()`, with images the chains of
            `OnManifold.for_data`, as long as their pixels ask for.
        pretraining_steps: steps of the autoencoders, >= 0, whatever the number
            of rows; None means 300, with `networks` 1,000, with images
            1,500.
        steps: steps of NAE after them, >= 0; None means 200, but at most 15
            passes over the rows; with `networks` 200, with images 200, but at
            most 15 passes.
        batch_size: number of examples per step, > 0; None means 64, with
            `networks` 128.
        pretraining_learning_rate: learning rate of Adam for the autoencoders,
            > 0; None means 2e-3, with `networks` or images 1e-3.
        learning_rate: learning rate of Adam for NAE, > 0; None means 2e-3, with
            `networks` 1e-4, with images 1e-3. With images it falls to 0 along
            a cosine.
        missing_values: "error" refuses NaN; "mask" leaves NaN out of a row's
            energy, with the mean in its place as input.
        warm_start: whether `fit` goes on from the ensemble of the last call,
            without pre-training, on the same rows or on new ones; `p_values`
            count on rows that a member was never trained on.
        validation_fraction: share of the examples, in (0, 1), that are not
            trained on; pre-training keeps the weights that reconstruct them
            best, and ends early when it makes no progress. For `networks` and
            images; None trains on all. Each autoencoder of the ensemble leaves
            out a quarter anyway.
        verbose: 1 prints what is trained and how long it took; 0 nothing.
        random_state: int, `numpy.random.RandomState` or None, as in
            scikit-learn's glossary.

    Attributes:
        model_: the fitted `TableNAE`, or the `NAE` of `networks`. It takes
            columns of `features_`, or standardised features.
        features_: the fitted `TableFeatures`; not with `networks`.
        scaler_: the fitted `StandardScaler` of scikit-learn, which counts
            changes of constant features; not with images.
        image_shape_: (height, width, channels) of images; not with tables.
        offset_: float; `decision_function` is `score_samples` minus it.
        fold_: int [num_examples], the members that a training example was left
            out by; not with `networks`.
        left_out_energies_: float [num_examples], energies of training examples
            under these members; not with `networks`.
        n_features_in_: number of features, or of values of an image.
        feature_names_in_: names of the features, if the training data had
            names.

    Example:
        >>> import numpy as np
        >>> from nae_tf import NAEDetector
        >>> x_train = np.random.default_rng(0).normal(size=(200, 3))
        >>> detector = NAEDetector(contamination=0.05, random_state=0)
        >>> detector.fit(x_train).predict([[0.1, 0.1, 0.1], [9.0, 9.0, 9.0]])
        array([ 1, -1])
        >>> detector.select([[0.1, 0.1, 0.1], [9.0, 9.0, 9.0]], 0.05)
        array([False,  True])
    """

    # What a fit may go on from.
    features_: TableFeatures
    model_: Any
    fold_: np.ndarray

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        networks=None,
        latent_dim: int | None = None,
        latent_space=None,
        sampler=None,
        pretraining_steps: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        pretraining_learning_rate: float | None = None,
        learning_rate: float | None = None,
        missing_values: str = "error",
        warm_start: bool = False,
        validation_fraction: float | None = None,
        verbose: int = 0,
        random_state=None,
    ):
        self.contamination = contamination
        self.networks = networks
        self.latent_dim = latent_dim
        self.latent_space = latent_space
        self.sampler = sampler
        self.pretraining_steps = pretraining_steps
        self.steps = steps
        self.batch_size = batch_size
        self.pretraining_learning_rate = pretraining_learning_rate
        self.learning_rate = learning_rate
        self.missing_values = missing_values
        self.warm_start = warm_start
        self.validation_fraction = validation_fraction
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y=None):
        """Pre-train the autoencoders, then train NAE.

        Args:
            X: float [num_examples, num_features], mostly inliers.
            y: ignored; scikit-learn passes it. Its scorers need +1 for inliers
                and -1 for outliers; a warning tells where 1 seems to be an
                outlier.

        Returns:
            The detector itself.

        Raises:
            ValueError: if data are not finite numbers, or a setting is out of
                range; with `missing_values="mask"`, if all values of a row or
                of a feature are missing.
        """
        refuse_forked(type(self).__name__)
        warn_of_labels(y)
        check_settings(self, getattr(X, "ndim", 2) > 2, NETWORKS)
        goes_on = self.warm_start and hasattr(self, "features_")
        X = self._validated(X, min_samples=2, reset=not goes_on)
        if X.ndim == 2:
            self.__dict__.pop("image_shape_", None)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        start = time.monotonic()
        with names_from_the_start():
            if self._one_nae:
                energies = self._fit_networks(X, seed)
            else:
                energies = self._fit_ensemble(X, seed, goes_on)
        self._report(f"trained in {time.monotonic() - start:.1f} s")
        offset = np.percentile(_scores_of(energies), 100 * self.contamination)
        if self._one_nae:
            # It may be the score of an example that occurs again, and differs
            # by the batch that it is in.
            offset = lowest_equal(offset)
        self.offset_ = float(offset)
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
            float64 [num_examples], <= 0; about -1 for inliers, with `networks`
            minus the mean squared error.
        """
        check_is_fitted(self)
        return self._scores(self._validated(X))

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

    def p_values(self, X) -> np.ndarray:
        """Compute conformal p-values: low is outlying.

        Among new inliers about a share `a` has a p-value of at most `a`, if the
        training data are inliers (`cross_conformal_p_values`).

        Args:
            X: float [num_examples, num_features].

        Returns:
            float64 [num_examples], in [1 / (n + 1), 1] for n training examples.

        Raises:
            ValueError: with `networks` or images, or after fewer than eight
                examples, when no example was left out.
        """
        check_is_fitted(self)
        if not hasattr(self, "fold_") or self.fold_[0] < 0:
            raise ValueError(
                "NAEDetector.p_values: expected a table, networks=None and at "
                "least 8 training examples, because members that leave "
                "examples out are compared; for images and other networks "
                "calibrate on a set of its own (nae_tf.Calibration)."
            )
        X = self._validated(X)
        with np.errstate(over="ignore", invalid="ignore"):
            energies = self._fold_energies(X)
        return cross_conformal_p_values(
            energies, self.fold_, self.left_out_energies_
        )

    def select(self, X, false_discovery_rate: float) -> np.ndarray:
        """Select outliers by the procedure of Benjamini and Hochberg (1995).

        Args:
            X: float [num_examples, num_features].
            false_discovery_rate: bound of the expected share of inliers among
                the selected, in (0, 1).

        Returns:
            bool [num_examples], whether an example is selected.

        Raises:
            ValueError: as `p_values`, or if the rate is out of range.
        """
        check_number(
            "NAEDetector.select",
            "false_discovery_rate",
            false_discovery_rate,
            "(0, 1)",
        )
        adjusted = false_discovery_control(self.p_values(X), method="bh")
        return adjusted <= false_discovery_rate

    def explain(self, X) -> np.ndarray:
        """Split the energy of examples among the features.

        Args:
            X: float [num_examples, num_features].

        Returns:
            float64, shape of `X`, >= 0, whose sums over an example are the
            energies `-score_samples(X)`.
        """
        check_is_fitted(self)
        X = self._validated(X)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.mean(self._fold_shares(X), axis=0)

    def __setstate__(self, state):
        """Restore a pickle; older ones have fewer settings and no scaler."""
        state = {
            "missing_values": "error",
            "warm_start": False,
            "validation_fraction": None,
            "verbose": 0,
        } | state
        if "mean_" in state:
            scaler = StandardScaler()
            scaler.mean_ = state.pop("mean_")
            scaler.scale_ = state.pop("scale_")
            scaler.var_ = scaler.scale_**2
            scaler.n_features_in_ = len(scaler.mean_)
            state["scaler_"] = scaler
        super().__setstate__(state)

    def __sklearn_tags__(self):
        """Tell scikit-learn whether NaN is taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._masks
        return tags

    @property
    def _masks(self) -> bool:
        return self.missing_values == "mask"

    @property
    def _one_nae(self) -> bool:
        return self.networks is not None or hasattr(self, "image_shape_")

    def _validated(self, X, min_samples: int = 1, reset: bool = False):
        refuse_masked(X)
        refuse_dates(X)
        refuse_no_numbers(X)
        fitted_to_images = not reset and hasattr(self, "image_shape_")
        if getattr(X, "ndim", 2) > 2 or fitted_to_images:
            return self._validated_images(X, reset)
        table = X
        try:
            X = validate_data(
                self,
                X,
                dtype=np.float64,
                ensure_min_samples=min_samples,
                ensure_all_finite="allow-nan" if self._masks else True,
                reset=reset,
            )
        except ValueError as error:
            raise ValueError(in_one_line(error, X)) from error
        unknown = np.isnan(X).all(axis=1)
        if unknown.any():
            raise ValueError(
                "NAEDetector: expected a value in every row, received none in "
                f"row {unknown.argmax()} (counted from 0), one of "
                f"{unknown.sum()}; remove these rows."
            )
        refuse_identifiers(table, X)
        # Names of pandas that are numbers, and those of polars, are unknown to
        # scikit-learn.
        names = column_names(table)
        expected = names if reset else getattr(self, "_column_names", None)
        refuse_other_columns(names, expected)
        self._column_names = expected
        warn_of_codes(
            "NAEDetector", X, expected, _REMEDY_OF_CODES, usual_only=not reset
        )
        return X

    def _validated_images(self, X, reset):
        images = unit_images("NAEDetector", X)
        if reset:
            if len(images) < 2:
                raise ValueError(
                    "NAEDetector: expected at least 2 images, received 1."
                )
            self.image_shape_ = images.shape[1:]
            self.n_features_in_ = int(np.prod(self.image_shape_))
            self.__dict__.pop("feature_names_in_", None)
        shape = getattr(self, "image_shape_", (self.n_features_in_,))
        if images.shape[1:] != shape:
            raise ValueError(
                f"NAEDetector: expected examples of shape {list(shape)} as in "
                f"fit, received {list(images.shape[1:])}."
            )
        return images

    def _report(self, text):
        if self.verbose:
            print(f"NAEDetector: {text}")

    def _scores(self, X):
        refuse_forked(type(self).__name__)
        return _scores_of(self._energies(X))

    def _energies(self, X):
        with np.errstate(over="ignore", invalid="ignore"):
            if hasattr(self, "features_") or np.isnan(X).any():
                return np.mean(self._fold_energies(X), axis=0)
            return self.model_.predict_outlier_score(
                self._network_inputs(X), 64 if X.ndim > 2 else 1024
            )

    def _network_inputs(self, X):
        """Images as they are, tables standardised."""
        return X if X.ndim > 2 else self.scaler_.transform(X)

    def _fold_energies(self, X):
        """Energies under the members of each fold, [folds, num_examples]."""
        if np.isnan(X).any():
            return rounded(np.sum(self._fold_shares(X), axis=-1))
        columns = self.features_.transform(X)
        energies = np.mean(self.model_.member_energies(columns), axis=0)
        return rounded(self.features_.energies(X, energies))

    def _fold_shares(self, X):
        """Shares of features in the energies, [folds, *shape of X]."""
        if hasattr(self, "features_"):
            residuals = self.model_.scaled_residuals(
                self.features_.transform(X)
            )
            shares = self.features_.shares(X, residuals)
        else:
            inputs = np.nan_to_num(self._network_inputs(X))
            left = inputs - self.model_.predict(inputs, 64, verbose=0)
            squares = np.square(left, dtype=np.float64)
            shares = squares[None] / self.n_features_in_
            if X.ndim > 2:
                return shares
        known = ~np.isnan(X)
        # The energy is a mean over the features that are known.
        weight = X.shape[1] / known.sum(axis=1, keepdims=True)
        return np.where(known, shares * weight, 0.0)

    # --- The ensemble -------------------------------------------------------

    def _fit_ensemble(self, X, seed, goes_on):
        fold = folds(len(X), _NUM_MEMBERS, seed)
        if goes_on:
            if len(fold) == len(self.fold_):
                # Of the same rows, a member goes on to leave out its own.
                fold = self.fold_
            features, model = self.features_, self.model_
            pretraining_steps = 0
        else:
            features = TableFeatures(random_state=seed).fit(X, fold=fold)
            model = TableNAE(
                features.num_columns_,
                features.num_values_,
                num_members=_NUM_MEMBERS,
            )
            pretraining_steps = self._setting("pretraining_steps")
        columns = features.transform(X)
        batch_size = min(self._setting("batch_size"), len(X))
        steps = nae_steps(self, False, len(X), batch_size)
        self._report(
            f"{len(X):,} examples of {X.shape[1]} features, "
            f"{2 * _NUM_MEMBERS} autoencoders of {pretraining_steps} and "
            f"{steps} steps"
        )
        model.train_members(
            columns,
            fold,
            pretraining_steps,
            steps,
            self._setting("pretraining_learning_rate"),
            self._setting("learning_rate"),
            batch_size,
            seed,
            new_weights=not goes_on,
        )
        # All at once, so that an interrupted fit leaves the last one whole.
        self.features_, self.scaler_ = features, features.scaler_
        self.model_, self.fold_ = model, fold
        with np.errstate(over="ignore", invalid="ignore"):
            energies = self._fold_energies(X)
            # Without folds every member has seen every example.
            mine = np.maximum(fold, 0)
            self.left_out_energies_ = energies[mine, np.arange(len(X))]
            return np.mean(energies, axis=0)

    # --- One NAE with networks of the user's choice -------------------------

    def _fit_networks(self, X, seed):
        if X.ndim == 2:
            self.scaler_ = TableScaler().fit(X)
        inputs, left_out = np.nan_to_num(self._network_inputs(X)), None
        if self.validation_fraction is not None:
            inputs, left_out = train_test_split(
                inputs, test_size=self.validation_fraction, random_state=seed
            )
        examples = ArrayExamples(
            name="training data",
            size=len(inputs),
            shape=X.shape[1:],
            num_levels=None,
            read=lambda: inputs,
        )
        shape = getattr(self, "image_shape_", (self.n_features_in_,))
        networks: Any = image_networks
        if self.networks is not None:
            networks = NETWORKS.get(self.networks, self.networks)
        model = make_nae(
            shape,
            networks,
            self.latent_dim,
            self.sampler,
            self.latent_space,
            seed,
        )
        batch_size = min(self._setting("batch_size"), len(inputs))
        pretraining_steps = self._setting("pretraining_steps")
        steps = nae_steps(self, X.ndim > 2, len(inputs), batch_size)
        self._report(
            f"{len(inputs):,} examples of shape {X.shape[1:]}, "
            f"{pretraining_steps} and {steps} steps"
        )
        # The second phase has another order of examples.
        for phase, prefix, num_steps, order, judges in [
            (
                model.autoencoder(),
                "pretraining_",
                pretraining_steps,
                seed,
                left_out,
            ),
            (model, "", steps, seed + 1, None),
        ]:
            fit_phase(
                phase,
                examples,
                self._setting(f"{prefix}learning_rate"),
                num_steps,
                batch_size,
                order,
                judges,
                decays=X.ndim > 2 and phase is model,
            )
        self.model_ = model
        # An ensemble of an earlier fit is gone.
        for name in ("features_", "fold_", "left_out_energies_"):
            if hasattr(self, name):
                delattr(self, name)
        return self._energies(X)

    def _setting(self, name):
        """Return a setting, or the default that None stands for."""
        return setting_or_default(self, name, hasattr(self, "image_shape_"))


def _scores_of(energies):
    # An example whose energy overflows is an outlier.
    return np.where(np.isnan(energies), -np.inf, -energies)
