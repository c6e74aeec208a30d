"""Replay buffer of chain states (paper section D.3, Du & Mordatch 2019).

It is a ring of fixed capacity: new states overwrite the oldest. On-manifold
sampling stores the final latent of every chain, persistent contrastive
divergence the final visible state.
"""

import warnings

import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.detector import OutlierDetector
from nae_tf.base.private import SavedAsTensors
from nae_tf.base.replicas import replica_id
from nae_tf.base.setting_checks import check_integer, check_sizes

# Begins the names of rings in a file of Keras, whose other names are numbers.
_PREFIX = "replay_buffer."


def is_stored_ring(name: str) -> bool:
    """Return whether a name of a file of Keras is one of `save_into`."""
    return name.startswith(_PREFIX)


class ReplayBuffer(SavedAsTensors):
    """First-in first-out store of chain states.

    Under `tf.distribute` every replica has a ring of its own, a plain variable
    on its device. A `tf.train.Checkpoint` that holds the buffer saves the rings
    of all replicas and restores the ring of each, or shares the states among
    another number of replicas. On several machines saving and restoring are
    collective: all workers must do them together.

    The rings do not belong to the Keras weights of the model, because a model
    that only scores has no use for them. The files of Keras, `.weights.h5` and
    `.keras`, hold them as `NAE` saves them there.

    Attributes:
        capacity: number of states that each ring holds at most.

    Example:
        >>> import tensorflow as tf
        >>> from nae_tf import ReplayBuffer
        >>> buffer = ReplayBuffer(capacity=3, state_shape=[2])
        >>> buffer.push(tf.ones([2, 2]))
        >>> int(buffer.size)
        2
        >>> fresh = tf.zeros([1, 2])
        >>> buffer.restart(fresh, replay_ratio=1.0, seed=(0, 0)).numpy()
        array([[1., 1.]], dtype=float32)
    """

    def __init__(self, capacity: int, state_shape, dtype="float32"):
        """Make an empty buffer for the replicas of the current strategy.

        Args:
            capacity: number of states that all replicas keep together, > 0;
                each keeps an equal share, rounded up.
            state_shape: shape of one state, without the axis of the batch.
            dtype: floating dtype of the states.

        Raises:
            ValueError: if the capacity is not in 1 ... 2**31 - 1, or states
                have no fixed size.
        """
        super().__init__()
        check_integer("ReplayBuffer", "capacity", capacity, 1, 2**31 - 1)
        if isinstance(state_shape, tf.TensorShape):
            state_shape = tuple(state_shape)
        if isinstance(state_shape, tuple | list) and None in state_shape:
            raise ValueError(
                "ReplayBuffer: expected states of a fixed size, received the "
                f"shape {list(state_shape)}; give the networks a keras.Input "
                "of known size, or the sampler replay_ratio=0."
            )
        state_shape = check_sizes("ReplayBuffer", "state_shape", state_shape)
        self.strategy = tf.distribute.get_strategy()
        # A replica pushes its share of every batch. In a ring of its share of
        # the capacity, states grow as old as in that of a single device.
        self.capacity = -(-capacity // self.strategy.num_replicas_in_sync)
        self._states = self._on_each_device(
            tf.zeros([self.capacity, *state_shape], dtype)
        )
        self._num_pushed = self._on_each_device(tf.zeros([], tf.int64))

    def _on_each_device(self, value):
        """Create one plain variable per device, in the order of replicas."""
        variable = tf.Variable(
            value,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
        )
        # A distributed variable takes no scatter updates, its parts do.
        return list(self.strategy.experimental_local_results(variable))

    def _here(self, variables):
        """Return the variable of the current replica.

        Args:
            variables: one variable per replica of this process.
        """
        if tf.distribute.in_cross_replica_context():
            return variables[0]
        # Every worker has the same number of replicas.
        return variables[replica_id() % len(variables)]

    @property
    def states(self):
        """Ring of the current replica, float variable [capacity, ...].

        Outside `tf.distribute.Strategy.run` it is that of the first replica of
        this process.
        """
        return self._here(self._states)

    @property
    def num_pushed(self):
        """Number of states that this replica has pushed, int64 variable."""
        return self._here(self._num_pushed)

    @property
    def size(self):
        """Number of states that this replica's ring holds, int64 scalar."""
        return tf.minimum(self.num_pushed, self.capacity)

    def push(self, states):
        """Append states, which overwrite the oldest ones.

        Args:
            states: float [batch, ...]. Of a batch larger than the capacity only
                the last `capacity` states are kept.
        """
        states = states[-self.capacity :]
        count = tf.shape(states, out_type=tf.int64)[0]
        slots = (self.num_pushed + tf.range(count)) % self.capacity
        self.states.scatter_update(tf.IndexedSlices(states, slots))
        self.num_pushed.assign_add(count)

    def restart(self, fresh, replay_ratio: float, seed):
        """Choose starts of chains: stored states or fresh ones.

        Every chain draws its own random number.

        Args:
            fresh: float [batch, ...], draws from the noise distribution.
            replay_ratio: probability of a stored state, in [0, 1]. The states
                are drawn uniformly with replacement. If the buffer is empty,
                all states are fresh.
            seed: stateless seed, int [2].

        Returns:
            Start states, shape of `fresh`.
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

    # --- Checkpoints ----------------------------------------------------------

    def tensors_to_save(self):
        """Return the rings of all replicas, "states" and "num_pushed"."""
        return {
            "states": self._of_all_replicas(self._states),
            "num_pushed": self._of_all_replicas(self._num_pushed),
        }

    def save_into(self, store):
        """Write the rings into a model's part of a file of Keras.

        Args:
            store: mapping from names to arrays, that of the model's
                `save_own_variables`.
        """
        for name, value in self.tensors_to_save().items():
            store[_PREFIX + name] = value

    def load_from(self, store) -> None:
        """Restore the rings that `save_into` wrote, if there are any.

        Rings of states of another shape belong to another sampler. They are
        left in the file, with a warning.

        Args:
            store: mapping that `save_into` has written to.
        """
        tensors = {
            name.removeprefix(_PREFIX): tf.convert_to_tensor(store[name])
            for name in sorted(store.keys())
            if is_stored_ring(name)
        }
        if not tensors:
            return
        shape, stored = self._states[0].shape[1:], tensors["states"].shape[2:]
        if shape == stored:
            self.restore_tensors(tensors)
        else:
            warnings.warn(
                f"ReplayBuffer: the file's states have shape {list(stored)}, "
                f"those of this sampler {list(shape)}; the buffer stays as it "
                "is.",
                stacklevel=2,
            )

    def _of_all_replicas(self, variables):
        if len(variables) == self.strategy.num_replicas_in_sync:
            with tf.device("CPU:0"):
                return tf.stack([tf.identity(value) for value in variables])
        here = self._on_every_replica(lambda: self._here(variables)[None])
        return self.strategy.gather(here, axis=0)

    def _on_every_replica(self, function):
        # In a graph, because TensorFlow warns of replicas without one.
        return tf.function(
            lambda: self.strategy.run(function), autograph=False
        )()

    def restore_tensors(self, tensors):
        """Restore the ring of every replica.

        If the number of replicas or the capacity changed, the stored states are
        dealt out like cards, the newest first. Each state goes to one replica,
        and all replicas get their share of new and old ones. States beyond the
        capacity are dropped, the oldest first.

        Raises:
            ValueError: if the stored states have another shape.
        """
        stored, num_pushed = tensors["states"], tensors["num_pushed"]
        replicas = self.strategy.num_replicas_in_sync
        shape = self._states[0].shape[1:]
        if not stored.shape[2:].is_compatible_with(shape):
            raise ValueError(
                f"ReplayBuffer: expected stored states of shape {list(shape)}, "
                f"received {list(stored.shape[2:])}; restore the checkpoint "
                "into a model of the same shapes."
            )
        states, num_pushed = tf.cond(
            tf.reduce_all(tf.shape(stored)[:2] == (replicas, self.capacity)),
            lambda: (stored, num_pushed),
            lambda: deal_out(stored, num_pushed, replicas, self.capacity),
        )

        def assign():
            self.states.assign(states[replica_id()])
            self.num_pushed.assign(num_pushed[replica_id()])

        self._on_every_replica(assign)


def deal_out(states, num_pushed, replicas: int, capacity: int):
    """Share the states of some rings among others, as one deals cards.

    Args:
        states: float [old_replicas, old_capacity, ...], rings.
        num_pushed: int64 [old_replicas], number of states pushed to each.
        replicas: number of new rings.
        capacity: number of states that each new ring holds at most.

    Returns:
        states: float [replicas, capacity, ...]. The newest state goes to the
            first ring, the next to the second and so on. States of equal age
            are in the order of their old rings.
        num_pushed: int64 [replicas], number of states that each ring holds.
    """
    old_replicas, old_capacity = tf.unstack(tf.shape(states, tf.int64)[:2])
    age, ring = tf.meshgrid(
        tf.range(old_capacity), tf.range(old_replicas), indexing="ij"
    )
    held = age < tf.minimum(num_pushed, old_capacity)
    slot = (num_pushed - 1 - age) % old_capacity
    newest_first = tf.gather_nd(
        states, tf.boolean_mask(tf.stack([ring, slot], -1), held)
    )
    hands, counts = [], []
    for replica in range(replicas):
        hand = newest_first[replica::replicas][:capacity][::-1]
        count = tf.shape(hand, tf.int64)[0]
        empty = tf.zeros([capacity - count, *states.shape[2:]], states.dtype)
        hands.append(tf.concat([hand, empty], 0))
        counts.append(count)
    return tf.stack(hands), tf.stack(counts)


class HoldsReplayBuffer(OutlierDetector):
    """A detector whose `replay_buffer`, if it is not None, is in its files.

    So `.keras` and `.weights.h5`, and with them Keras's callbacks
    `BackupAndRestore` and `ModelCheckpoint`, hold all that training needs.
    """

    replay_buffer: ReplayBuffer | None

    def save_own_variables(self, store):
        """Write the model's own variables and the replay buffer."""
        super().save_own_variables(store)
        if self.replay_buffer is not None:
            self.replay_buffer.save_into(store)

    def load_own_variables(self, store):
        """Read what `save_own_variables` wrote.

        Older files have no replay buffer; that of the model stays as it is.
        """
        own = {
            name: store[name]
            for name in sorted(store.keys())
            if not is_stored_ring(name)
        }
        super().load_own_variables(own)
        if self.replay_buffer is not None:
            self.replay_buffer.load_from(store)

    def saved_children(self, children, save_type):
        """Leave the replay buffer out of exports, which do not use it."""
        children = super().saved_children(children, save_type)
        if save_type == "savedmodel":
            children.pop("replay_buffer", None)
        return children
