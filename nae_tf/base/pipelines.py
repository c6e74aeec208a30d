"""Pipelines of `tf.data` whose iterators end at once."""

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return a data set that TensorFlow does not tune.

    Tuning is done by a thread per iterator, which sleeps for up to a minute.
    The end of the iterator wakes it up and waits for it, but says that it is
    the end only then: a thread that looks at once sleeps again. With all cores
    busy, one of ten iterators took the whole minute to end, within an epoch's
    last step or Python's collection of garbage (TensorFlow 2.21;
    `findings/tf_data_iterators_end_late.sh`). Without tuning, parallel steps
    have as many threads as the machine, up to 16.

    Args:
        dataset: any data set.

    Example:
        >>> import tensorflow as tf
        >>> from nae_tf.base.pipelines import untuned
        >>> [int(n) for n in untuned(tf.data.Dataset.range(3))]
        [0, 1, 2]
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
