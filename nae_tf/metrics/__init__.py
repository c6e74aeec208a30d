"""Metrics: arrays in, numbers out. Scores are high for outliers."""

from nae_tf.metrics.bootstrap import detection_estimates
from nae_tf.metrics.detection import (
    DetectionCurve,
    area_under_roc,
    auroc,
    average_precision_of_inliers,
    average_precision_of_outliers,
    background_rejection,
    detection_curve,
    fpr_at_tpr,
)
from nae_tf.metrics.diagnostics import (
    TrainingDiagnostics,
    distance_in_spacings,
    diversity,
    energy_gap_in_spreads,
    fall_at_the_end,
)
from nae_tf.metrics.localization import (
    LocalizationCounts,
    aupro,
    localization_counts,
    pixel_auroc,
)
from nae_tf.metrics.paired_auroc import auroc_difference_error
from nae_tf.metrics.sample_distance import (
    frechet_distance,
    kernel_distance,
    squared_mmd,
)

__all__ = [
    "DetectionCurve",
    "LocalizationCounts",
    "TrainingDiagnostics",
    "area_under_roc",
    "aupro",
    "auroc",
    "auroc_difference_error",
    "average_precision_of_inliers",
    "average_precision_of_outliers",
    "background_rejection",
    "detection_curve",
    "detection_estimates",
    "distance_in_spacings",
    "diversity",
    "energy_gap_in_spreads",
    "fall_at_the_end",
    "fpr_at_tpr",
    "frechet_distance",
    "kernel_distance",
    "localization_counts",
    "pixel_auroc",
    "squared_mmd",
]
