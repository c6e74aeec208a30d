"""A detector behind the network that makes its features of images."""

import tensorflow as tf

from nae_tf.base.detector import OutlierDetector
from nae_tf.data.feature_networks import ImageFeatures


class OnFeatures(OutlierDetector):
    """A detector of features that takes images, for exports.

    It is not trained: its parts are.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf import NAE, OnManifold
        >>> from nae_tf.data.feature_networks import (
        ...     FeatureNetwork,
        ...     ImageFeatures,
        ... )
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> from nae_tf.serving.on_features import OnFeatures
        >>> means = keras.Sequential(
        ...     [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()]
        ... )
        >>> detector = NAE(
        ...     MLPEncoder(latent_dim=2, example_shape=(3,)),
        ...     MLPDecoder(latent_dim=2, example_shape=(3,)),
        ...     sampler=OnManifold.for_tables(),
        ... )
        >>> features = ImageFeatures(
        ...     FeatureNetwork.of(means), (8, 8, 3), (0.0, 1.0)
        ... )
        >>> model = OnFeatures(features, detector)
        >>> model.predict_outlier_score(np.zeros((5, 8, 8, 3))).shape
        (5,)
    """

    def __init__(self, features: ImageFeatures, detector: OutlierDetector):
        """Put a network before a detector.

        Args:
            features: how examples of the detector are made of images.
            detector: a built model of these features.
        """
        super().__init__(dtype=detector.dtype_policy)
        self.example_shape = features.image_shape
        self.features = features
        self.detector = detector
        self.built = True

    @property
    def value_range(self) -> tuple[float, float]:
        """Range of images."""
        return 0.0, 1.0

    def outlier_score(self, x):
        """Score images by their features.

        Args:
            x: float [batch, height, width, channels] in [0, 1].

        Returns:
            float [batch].
        """
        features = tf.cast(self.features(x), self.detector.variable_dtype)
        return self.detector.outlier_score(self.detector.standardized(features))
