"""What a replay buffer looks like after an epoch."""

import keras
import numpy as np
import tensorflow as tf


class ReplayBufferFigures(keras.callbacks.Callback):
    """Add the age and the diversity of a replay buffer to an epoch's logs.

    "replay_buffer_age" is the mean number of training steps since the stored
    states were the ends of chains. "replay_buffer_diversity" is the mean
    distance between two stored states: chains that all end in one place bring
    it to 0, independent points of a high-dimensional sphere to 1.41.
    """

    NUM_PAIRS = 512

    def on_epoch_end(self, epoch, logs=None):
        """Write the figures into `logs` for later callbacks."""
        buffer = getattr(self.model, "replay_buffer", None)
        if buffer is None or int(buffer.size) == 0:
            return
        size, num_pushed = int(buffer.size), int(buffer.num_pushed)
        # Every step pushes equally many, unless the states were dealt out anew.
        steps = int(self.model.num_batches.numpy())
        states_per_step = max(num_pushed // steps, 1)
        ages = np.arange(size) // states_per_step
        logs["replay_buffer_age"] = float(ages.mean())
        rng = np.random.default_rng(epoch)
        first = rng.integers(size, size=self.NUM_PAIRS)
        # Never the state itself.
        second = (first + rng.integers(1, max(size, 2), len(first))) % size
        states = buffer.states
        offsets = tf.gather(states, first) - tf.gather(states, second)
        offsets = tf.reshape(offsets, [self.NUM_PAIRS, -1])
        distances = tf.norm(offsets, axis=1)
        logs["replay_buffer_diversity"] = float(tf.reduce_mean(distances))
