"""Replicas of a training step under `tf.distribute`, and their examples."""

import tensorflow as tf

from nae_tf.base.batches import pad_batch
from nae_tf.base.private import apply_on_one_replica


def replica_id() -> int:
    """Return the index of the current replica, counted over all machines.

    It is called in `tf.distribute.Strategy.run`, or without a strategy.
    """
    context = tf.distribute.get_replica_context()
    return int(tf.get_static_value(context.replica_id_in_sync_group))


def batch_share(num_examples, dtype):
    """Return the share of the global batch that this replica has.

    A mean over the global batch is the sum over replicas of share times mean.

    Args:
        num_examples: number of this replica's examples, int scalar. It is 0
            where the last batch of an epoch has too few for all replicas.
        dtype: floating dtype of the result.

    Returns:
        Float scalar in [0, 1].
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tf.ones([], dtype)
    count = tf.cast(num_examples, dtype)
    return count / context.all_reduce("sum", count)


def global_mean(values):
    """Return the mean over the global batch, the same on every replica.

    Args:
        values: float [batch]; a replica may have fewer values, or none.

    Returns:
        Float scalar in the type of `values`.
    """
    total = [tf.reduce_sum(values), tf.cast(tf.size(values), values.dtype)]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        total = context.all_reduce("sum", total)
    return total[0] / total[1]


def apply_gradients(optimizer, updates):
    """Take a step of an optimizer with the sums of gradients over replicas.

    Args:
        optimizer: Keras optimizer.
        updates: pairs of this replica's gradient and its variable.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        apply_on_one_replica(optimizer, updates)
    else:
        optimizer.apply_gradients(updates)


def call_network(network, x, training: bool = False):
    """Call a network on this replica's examples, even if it has none.

    TensorFlow's convolutions on a CPU return wrong shapes for an empty batch.

    Args:
        network: Keras model from float [batch, ...] to float [batch, ...].
        x: float [batch, ...]; a replica may have fewer rows, or none.
        training: whether the network runs in training mode.

    Returns:
        Output of the network, float [batch, ...].
    """
    if (
        tf.distribute.in_cross_replica_context()
        or tf.distribute.get_strategy().num_replicas_in_sync == 1
    ):
        return network(x, training=training)
    return network(pad_batch(x, 1), training=training)[: tf.shape(x)[0]]


def rows_of_all(x):
    """Return the rows of all replicas, in the order of the replicas.

    Every replica computes the same from them. A gradient returns to the replica
    that the row comes from, as the sum over all replicas.

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
