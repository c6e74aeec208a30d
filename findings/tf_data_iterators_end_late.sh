#!/usr/bin/env bash
# TensorFlow: how long the end of an iterator of tf.data takes.
#
# Guess: an iterator that is deleted, as one is after every epoch of Keras's fit,
# ends within milliseconds, whatever the pipeline; what can take long is a step
# that is still running.
#
# Seen with TensorFlow 2.21.0 (Python 3.11, Linux, 2 cores): with both cores busy
# one of ten took up to sixty seconds, though its pipeline only counts. Its tuning
# (`options.autotune`, on by default) has a thread that sleeps for up to a minute.
# The end of the iterator wakes it up before it sets the flag that the thread looks
# at (CancellationManager::StartCancel runs its callbacks first, Model::OptimizeLoop
# asks IsCancelled), so that a thread that looks at once sleeps again, and then
# waits for it. With `options.autotune.enabled = False` there is no such thread.
# Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1. Takes one to two minutes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "tensorflow==2.21.0" "numpy==2.3.5"
cat >"$folder/try.py" <<'PYTHON'
import multiprocessing
import os
import time

import tensorflow as tf


def counting(tuned):
    options = tf.data.Options()
    options.autotune.enabled = tuned
    return tf.data.Dataset.range(10**9).batch(8).with_options(options)


kept = []  # Not ended at all.


def longest_end(tuned, num_iterators=200):
    """Seconds; stops at the first end that takes one."""
    iterators = [iter(counting(tuned)) for _ in range(num_iterators)]
    end = time.time() + 6
    while time.time() < end:
        for iterator in iterators:
            next(iterator)
    del iterator
    longest = 0.0
    while iterators and longest < 1:
        start = time.perf_counter()
        iterators.pop()
        longest = max(longest, time.perf_counter() - start)
    kept.extend(iterators)
    return longest


def work():
    while True:
        pass


if __name__ == "__main__":
    workers = [
        multiprocessing.get_context("spawn").Process(target=work, daemon=True)
        for _ in range(os.cpu_count() or 1)
    ]
    for worker in workers:
        worker.start()
    late = longest_end(tuned=True) > 1
    print("tuned, an end took over a second:", late)
    late_untuned = longest_end(tuned=False) > 1
    print("not tuned, an end took over a second:", late_untuned, flush=True)
    for worker in workers:
        worker.kill()
    os._exit(not late or late_untuned)
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/environment/bin/python" "$folder/try.py" 2>/dev/null

# tuned, an end took over a second: True
# not tuned, an end took over a second: False
