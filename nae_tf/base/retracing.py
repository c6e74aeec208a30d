"""No warnings of retracing where a graph is traced once, as it has to be.

TensorFlow counts how often a function is traced by its code. Every model has
graphs of its own of the same code, so a loop over seeds would be warned of.
"""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def without_retracing_warnings():
    """Drop TensorFlow's warnings of retracing in a context or a function."""

    def is_news(record):
        return "triggered tf.function retracing" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)
