"""What a step has to know of the other replicas under `tf.distribute`."""

import tensorflow as tf

from nae_tf.base.batches import pad_batch


def replica_id() -> int:
    """Return the index of the replica that asks, over all machines.

    To be called in `tf.distribute.Strategy.run`, or without a strategy.
    """
    context = tf.distribute.get_replica_context()
    return int(tf.get_static_value(context.replica_id_in_sync_group))


def batch_share(num_examples, dtype):
    """Return which share of the global batch this replica has.

    A mean over the global batch is the sum over replicas of share times mean.

    Args:
        num_examples: int scalar, number of this replica's examples; may be 0,
            because the last batch of an epoch may be smaller than the others.
        dtype: floating dtype of the result.

    Returns:
        Float scalar in [0, 1].
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tf.ones([], dtype)
    count = tf.cast(num_examples, dtype)
    return count / context.all_reduce("sum", count)


def call_network(network, x, training: bool = False):
    """Call a network on this replica's examples, even if it has none.

    TensorFlow's convolutions on a CPU return wrong shapes for a batch of no
    example.

    Args:
        network: Keras model, from float [batch, ...] to float [batch, ...].
        x: float [batch, ...]; a replica may have fewer rows, or none.
        training: whether the network runs in training mode.

    Returns:
        The network's output.
    """
    if (
        tf.distribute.in_cross_replica_context()
        or tf.distribute.get_strategy().num_replicas_in_sync == 1
    ):
        return network(x, training=training)
    return network(pad_batch(x, 1), training=training)[: tf.shape(x)[0]]


def rows_of_all(x):
    """Return the rows that all replicas hold, in the order of the replicas.

    What is computed from them is the same everywhere. Its gradient returns to
    the replica that a row comes from, as the sum over all replicas.

    Args:
        x: tensor [batch, ...]; a replica may have fewer rows, or none.

    Returns:
        Tensor [global batch, ...].
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return x
    return context.all_gather(x, axis=0)


def spans_machines(strategy: tf.distribute.Strategy) -> bool:
    """Return whether some of a strategy's replicas run in other processes."""
    return isinstance(
        strategy, tf.distribute.MultiWorkerMirroredStrategy
    ) and strategy.num_replicas_in_sync > len(strategy.extended.worker_devices)
