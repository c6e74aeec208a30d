"""The replay buffer: a ring that chains restart from."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.replay_buffer import ReplayBuffer, deal_out

SEED = (1, 2)


def column(*values):
    return tf.constant(values, tf.float32)[:, None]


def stored(buffer):
    return np.ravel(buffer.states)[: int(buffer.size)].tolist()


def filled(count, capacity=100):
    """A buffer that holds 1, 2, ..., count."""
    buffer = ReplayBuffer(capacity, [1])
    buffer.push(tf.range(1.0, count + 1)[:, None])
    return buffer


def test_the_oldest_states_make_room():
    buffer = ReplayBuffer(5, [1])
    buffer.push(column(1, 2, 3))
    assert buffer.size == 3
    assert stored(buffer) == [1, 2, 3]
    buffer.push(column(4, 5, 6, 7))
    assert buffer.size == 5
    assert sorted(stored(buffer)) == [3, 4, 5, 6, 7]
    buffer.push(column(8))
    assert sorted(stored(buffer)) == [4, 5, 6, 7, 8]


def test_of_a_batch_beyond_the_capacity_the_last_states_are_kept():
    buffer = ReplayBuffer(3, [1])
    buffer.push(column(1, 2))
    buffer.push(column(3, 4, 5, 6, 7))
    assert sorted(stored(buffer)) == [5, 6, 7]
    buffer.push(column(8))
    assert sorted(stored(buffer)) == [6, 7, 8]


def test_an_empty_buffer_gives_the_fresh_states():
    fresh = tf.random.stateless_normal([50, 2], SEED)
    start = ReplayBuffer(10, [2]).restart(fresh, 1.0, SEED)
    np.testing.assert_array_equal(start, fresh)


@pytest.mark.parametrize("replay_ratio", [0.95, 0.3])
def test_share_of_replayed_chains(replay_ratio):
    start = filled(7).restart(tf.zeros([20_000, 1]), replay_ratio, SEED)
    replayed = np.count_nonzero(start)
    deviation = np.sqrt(20_000 * replay_ratio * (1 - replay_ratio))
    assert abs(replayed - 20_000 * replay_ratio) / deviation < 5


def test_ratios_of_zero_and_one_are_exact():
    fresh = tf.zeros([1_000, 1])
    assert np.count_nonzero(filled(7).restart(fresh, 0.0, SEED)) == 0
    assert np.count_nonzero(filled(7).restart(fresh, 1.0, SEED)) == 1_000


@pytest.mark.parametrize("count", [7, 10, 25])
def test_replay_is_uniform_over_the_filled_part(count):
    buffer = filled(count, capacity=10)
    start = buffer.restart(tf.zeros([20_000, 1]), 1.0, SEED).numpy().ravel()
    values, counts = np.unique(start, return_counts=True)
    held = np.arange(max(1, count - 9), count + 1)
    np.testing.assert_array_equal(values, held)
    expected = 20_000 / len(held)
    z_scores = (counts - expected) / np.sqrt(expected * (1 - 1 / len(held)))
    assert np.max(np.abs(z_scores)) < 5


def test_whether_and_what_to_replay_are_independent():
    start = filled(2).restart(tf.zeros([20_000, 1]), 0.5, SEED).numpy()
    count = np.count_nonzero(start)
    assert abs(np.count_nonzero(start == 1) - count / 2) < 5 * count**0.5 / 2


def test_the_seed_decides_the_start():
    first, again, other = (
        filled(50).restart(tf.zeros([50, 1]), 0.9, seed).numpy()
        for seed in (SEED, SEED, (1, 3))
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_start_states_have_the_shape_and_type_of_the_fresh_ones():
    buffer = ReplayBuffer(4, [2, 3, 1])
    buffer.push(tf.ones([4, 2, 3, 1]))
    start = buffer.restart(tf.zeros([5, 2, 3, 1], tf.float64), 1.0, SEED)
    np.testing.assert_array_equal(start, np.ones([5, 2, 3, 1]))
    assert start.dtype == tf.float64


def test_the_contents_survive_a_checkpoint(tmp_path):
    path = tf.train.Checkpoint(buffer=filled(12, 10)).save(str(tmp_path / "c"))
    restored = ReplayBuffer(10, [1])
    tf.train.Checkpoint(buffer=restored).restore(path).assert_consumed()
    np.testing.assert_array_equal(restored.states, filled(12, 10).states)
    restored.push(column(13))
    assert sorted(stored(restored)) == list(range(4, 14))


def test_a_push_touches_the_new_rows_only():
    buffer = ReplayBuffer(1_000, [3])
    push = tf.function(buffer.push, autograph=False)
    graph = push.get_concrete_function(tf.TensorSpec([5, 3])).graph
    sizes = {
        output.shape.num_elements() or 0
        for operation in graph.get_operations()
        for output in operation.outputs
    }
    assert max(sizes) == 15


# --- Several replicas ---------------------------------------------------------


def rings(*contents, capacity, num_pushed=None):
    """Rings as `deal_out` takes them; each list is in slot order."""
    states = np.zeros([len(contents), capacity, 1], "float32")
    for ring, content in zip(states, contents, strict=True):
        ring[: len(content), 0] = content
    lengths = [len(content) for content in contents]
    return tf.constant(states), tf.constant(num_pushed or lengths, tf.int64)


def by_age(dealt):
    """What each ring holds, the oldest first."""
    return [
        np.ravel(ring)[:count].tolist()
        for ring, count in zip(*dealt, strict=True)
    ]


def test_one_ring_is_shared_by_two_replicas():
    dealt = deal_out(*rings([1, 2, 3, 4, 5], capacity=8), 2, 8)
    assert by_age(dealt) == [[1, 3, 5], [2, 4]]


def test_two_rings_join_by_age():
    dealt = deal_out(*rings([1, 2, 3], [10, 20], capacity=4), 1, 8)
    assert by_age(dealt) == [[1, 10, 2, 20, 3]]


def test_the_oldest_states_exceed_the_capacity():
    dealt = deal_out(*rings([1, 2, 3], [10, 20, 30], capacity=3), 1, 4)
    assert by_age(dealt) == [[20, 2, 30, 3]]


def test_age_counts_from_the_last_push_of_a_full_ring():
    # 6 overwrote 2, so that 3 is the oldest.
    full = rings([5, 6, 3, 4], capacity=4, num_pushed=[6])
    assert by_age(deal_out(*full, 1, 8)) == [[3, 4, 5, 6]]


@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
def test_no_state_is_lost_or_dealt_twice(replicas):
    old = rings([1, 2, 3, 4], [5, 6], [7], capacity=4)
    dealt = by_age(deal_out(*old, replicas, 12))
    assert sorted(np.concatenate(dealt)) == [1, 2, 3, 4, 5, 6, 7]
    lengths = [len(ring) for ring in dealt]
    assert max(lengths) - min(lengths) <= 1


def test_a_checkpoint_restores_into_another_capacity(tmp_path):
    path = tf.train.Checkpoint(buffer=filled(5, 10)).save(str(tmp_path / "c"))
    smaller = ReplayBuffer(3, [1])
    tf.train.Checkpoint(buffer=smaller).restore(path).assert_consumed()
    assert stored(smaller) == [3, 4, 5]


TWO_REPLICAS = """
import json, sys
import numpy as np
import tensorflow as tf
from nae_tf.replay_buffer import ReplayBuffer

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    # Rings of four: half of seven, rounded up.
    buffer, restored, shared = [ReplayBuffer(7, [1]) for _ in range(3)]
alone, joined = ReplayBuffer(7, [1]), ReplayBuffer(7, [1])

def push():
    context = tf.distribute.get_replica_context()
    replica = tf.cast(context.replica_id_in_sync_group, tf.float32)
    buffer.push(tf.range(1.0, 4.0)[:, None] + 10 * replica)
    return buffer.restart(tf.zeros([20, 1]), 1.0, [0, 0])

def contents(buffer):
    return strategy.run(lambda: tf.identity(buffer.states))

def on_each_replica(values):
    values = strategy.experimental_local_results(values)
    return [np.ravel(value).tolist() for value in values]

starts = tf.function(lambda: strategy.run(push))()
path = tf.train.Checkpoint(buffer=buffer).save(sys.argv[1])
for other in restored, joined:
    tf.train.Checkpoint(buffer=other).restore(path).assert_consumed()
alone.push(tf.range(1.0, 4.0)[:, None])
path = tf.train.Checkpoint(buffer=alone).save(sys.argv[1])
tf.train.Checkpoint(buffer=shared).restore(path).assert_consumed()
results = {
    "starts": [sorted(set(values)) for values in on_each_replica(starts)],
    "contents": on_each_replica(contents(buffer)),
    "outside": np.ravel(buffer.states).tolist(),
    "restored": on_each_replica(contents(restored)),
    "joined": np.ravel(joined.states).tolist(),
    "shared": on_each_replica(contents(shared)),
}
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def two_replicas(tmp_path_factory):
    """What a process with two logical CPUs saw of its buffers."""
    path = tmp_path_factory.mktemp("replicas") / "checkpoint"
    process = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS, str(path)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_every_replica_keeps_and_replays_its_own_states(two_replicas):
    assert two_replicas["contents"] == [[1, 2, 3, 0], [11, 12, 13, 0]]
    assert two_replicas["starts"] == [[1, 2, 3], [11, 12, 13]]
    assert two_replicas["outside"] == two_replicas["contents"][0]


def test_a_checkpoint_gives_every_replica_its_own_states(two_replicas):
    assert two_replicas["restored"] == two_replicas["contents"]


def test_a_checkpoint_restores_on_fewer_and_more_replicas(two_replicas):
    # Two replicas pushed 1, 2, 3 and 11, 12, 13.
    assert two_replicas["joined"] == [11, 1, 12, 2, 13, 3, 0]
    # One replica pushed 1, 2, 3.
    assert two_replicas["shared"] == [[1, 3, 0, 0], [2, 0, 0, 0]]
