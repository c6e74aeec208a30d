"""Replay buffer of chain states (paper section D.3, Du & Mordatch 2019).

A ring of fixed capacity: new states overwrite the oldest. On-manifold sampling
stores the final latent of every chain, persistent contrastive divergence the
final visible state.
"""

import tensorflow as tf

from nae_tf import randomness


class ReplayBuffer(tf.Module):
    """First-in first-out store of chain states.

    Under `tf.distribute` every replica keeps its own contents: the variables
    are synchronised on read and never averaged. They belong to a
    `tf.train.Checkpoint` of the model, not to its Keras weights, because a
    model that only scores has no use for them. TensorFlow saves the contents of
    the first replica and gives them to all when it restores.
    """

    def __init__(self, capacity: int, state_shape, dtype="float32", name=None):
        """Make an empty buffer.

        Args:
            capacity: number of states kept, > 0.
            state_shape: shape of one state, without the batch axis.
            dtype: floating dtype of the states.
            name: name of the module.

        Raises:
            ValueError: if the capacity is not positive.
        """
        super().__init__(name=name)
        if capacity <= 0:
            raise ValueError(
                f"ReplayBuffer: expected capacity > 0, received {capacity}."
            )
        self.capacity = capacity
        self.states = self._variable(tf.zeros([capacity, *state_shape], dtype))
        self.num_pushed = self._variable(tf.zeros([], tf.int64))

    def _variable(self, value):
        return tf.Variable(
            value,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    @property
    def size(self):
        """Number of states that the buffer holds, int64 scalar."""
        return tf.minimum(self.num_pushed, self.capacity)

    def push(self, states):
        """Append states; the oldest ones make room.

        Args:
            states: float [batch, ...]. Of a batch larger than the capacity only
                the last `capacity` states are kept.
        """
        states = states[-self.capacity :]
        count = tf.shape(states, out_type=tf.int64)[0]
        slots = (self.num_pushed + tf.range(count)) % self.capacity
        self.states.assign(
            tf.tensor_scatter_nd_update(self.states, slots[:, None], states)
        )
        self.num_pushed.assign_add(count)

    def restart(self, fresh, replay_ratio: float, seed):
        """Choose where chains start: at a stored state or afresh.

        Every chain tosses its own coin.

        Args:
            fresh: float [batch, ...], draws from the noise distribution.
            replay_ratio: probability of a stored state, in [0, 1]. The states
                are drawn uniformly with replacement. An empty buffer gives
                `fresh`.
            seed: int [2].

        Returns:
            Start states, same shape as `fresh`.
        """
        count = tf.shape(fresh)[0]
        size = tf.maximum(self.size, 1)
        position = randomness.uniform(
            [count], randomness.fold_in(seed, 0), tf.float64
        )
        index = tf.cast(position * tf.cast(size, tf.float64), tf.int64)
        # Differs from the paper: Algorithm 1 draws one number for the batch;
        # the authors' code draws one for every chain.
        coin = randomness.uniform(
            [count], randomness.fold_in(seed, 1), tf.float32
        )
        replay = (coin < replay_ratio) & (self.num_pushed > 0)
        replay = tf.reshape(replay, [-1] + [1] * (fresh.shape.rank - 1))
        stored = tf.gather(self.states, index)
        return tf.where(replay, tf.cast(stored, fresh.dtype), fresh)
