"""NAE for tables: many small autoencoders, trained and scored at once."""

from nae_tf.tables.conformal import cross_conformal_p_values
from nae_tf.tables.features import TableFeatures
from nae_tf.tables.model import TableNAE
from nae_tf.tables.negatives import Displaced, Projected
from nae_tf.tables.rounding import rounded
from nae_tf.tables.training import folds

__all__ = [
    "Displaced",
    "Projected",
    "TableFeatures",
    "TableNAE",
    "cross_conformal_p_values",
    "folds",
    "rounded",
]
