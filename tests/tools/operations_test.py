"""The profile of a function names what takes its time."""

import os
import time

import tensorflow as tf

from benchmarking.operations import operation_seconds


def test_the_longest_operation_is_the_one_that_was_asked_for():
    matrix = tf.random.stateless_normal([700, 700], [0, 1])

    @tf.function
    def multiply(x):
        for _ in tf.range(10):
            x = tf.tanh(x @ x)
        return tf.reduce_sum(x)

    float(multiply(matrix))  # Traces.
    start = time.perf_counter()
    seconds = operation_seconds(lambda: float(multiply(matrix)))
    spent = time.perf_counter() - start
    assert next(iter(seconds)) == "MatMul"
    assert 0 < seconds["Tanh"] < seconds["MatMul"]
    # No call or loop that contains others counts.
    assert sum(seconds.values()) < spent * (os.cpu_count() or 1)
    assert not any("While" in kind or "Call" in kind for kind in seconds)
