"""Evaluation of a run: metrics, the report, samples and their distance.

For models there is `log_normalizer`, the constant that makes exp(-E / T) a
density.
"""

from nae_tf.evaluation.normalizer import LogNormalizer, log_normalizer

__all__ = ["LogNormalizer", "log_normalizer"]
