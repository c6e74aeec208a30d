"""Normalized Autoencoder for TensorFlow 2 and Keras 3.

Yoon, Noh & Park, Autoencoding Under Normalization Constraints, ICML 2021,
https://arxiv.org/abs/2105.05735. Equation, table and section numbers in the
documentation are those of this paper.
"""

from nae_tf.autoencoder import Autoencoder
from nae_tf.detector import OutlierDetector
from nae_tf.estimator import NAEDetector
from nae_tf.langevin_chain import LangevinChain
from nae_tf.latent_space import Euclidean, Sphere
from nae_tf.nae import NAE
from nae_tf.on_manifold import (
    ContrastiveDivergence,
    NegativeSample,
    OnManifold,
    PersistentContrastiveDivergence,
)

__version__ = "0.1.0"

__all__ = [
    "NAE",
    "Autoencoder",
    "ContrastiveDivergence",
    "Euclidean",
    "LangevinChain",
    "NAEDetector",
    "NegativeSample",
    "OnManifold",
    "OutlierDetector",
    "PersistentContrastiveDivergence",
    "Sphere",
]
