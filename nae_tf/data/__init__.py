"""Data: examples, their sources, and tasks of inliers and outliers."""

from nae_tf.data.densities import eight_gaussians, two_blobs
from nae_tf.data.digits import digits_holdout
from nae_tf.data.examples import Examples
from nae_tf.data.image_features import image_features
from nae_tf.data.image_tasks import (
    class_holdout,
    class_selection,
    mnist_holdout,
    out_of_distribution,
)
from nae_tf.data.photographs import photograph_shape, photographs
from nae_tf.data.readers.paths import read_files
from nae_tf.data.schema import Schema
from nae_tf.data.sources import (
    ArrayExamples,
    SampledExamples,
    StreamedExamples,
)
from nae_tf.data.synthetic import constant, constant_gray, noise
from nae_tf.data.task import Task, split_indices
from nae_tf.data.user_tasks import user_data, user_data_holdout

__all__ = [
    "ArrayExamples",
    "Examples",
    "SampledExamples",
    "Schema",
    "StreamedExamples",
    "Task",
    "class_holdout",
    "class_selection",
    "constant",
    "constant_gray",
    "digits_holdout",
    "eight_gaussians",
    "image_features",
    "mnist_holdout",
    "noise",
    "out_of_distribution",
    "photograph_shape",
    "photographs",
    "read_files",
    "split_indices",
    "two_blobs",
    "user_data",
    "user_data_holdout",
]
