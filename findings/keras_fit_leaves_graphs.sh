#!/usr/bin/env bash
# Keras 3 with TensorFlow: what many fits in one process leave behind.
#
# Guess: a model that nothing refers to is freed with its traced graphs, so that a
# service which fits a small detector per customer, or a grid search, stays flat; at
# most keras.utils.clear_session() is needed.
#
# Seen with TensorFlow 2.21.0 and Keras 3.15.1 (Python 3.11, Linux, CPU): models and
# optimizers are freed, but one FuncGraph of the training step per model that was
# fitted stays for good, whole with its operations, and neither garbage collection nor
# clear_session frees it. Predictions leave none. Nor does a fit whose optimizer takes
# gradients as they are: Keras sums them over replicas, of one replica too, by a
# function with a tf.custom_gradient; each trace registers that gradient for good, and
# its closure holds the graph. Any custom gradient that is traced anew does the same.
# Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "tensorflow==2.21.0" "keras==3.15.1"
cat >"$folder/try.py" <<'PYTHON'
import gc
import sys
import weakref

import keras
import numpy as np
from tensorflow.python.framework.func_graph import FuncGraph

X = np.zeros((8, 4), "float32")
NUM_FITS = 5


def graphs():
    keras.utils.clear_session()
    for _ in range(3):
        gc.collect()
    return [x for x in gc.get_objects() if isinstance(x, FuncGraph)]


class WithoutSum(keras.optimizers.SGD):
    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars


def once(use, optimizer=keras.optimizers.SGD):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile(optimizer(), "mse")
    use(model)
    return weakref.ref(model)


def left_by(use, *optimizer):
    once(use, *optimizer)  # Whatever is made once per process.
    before = len(graphs())
    models = [once(use, *optimizer) for _ in range(NUM_FITS)]
    after = graphs()
    alive = sum(model() is not None for model in models)
    return len(after) - before, alive, after[-1:]


print("per 5 models that were used once and dropped:")
by_predict, alive, _ = left_by(lambda model: model.predict(X, verbose=0))
print(f"predict: {by_predict} graphs and {alive} models left")


def fit(model):
    model.fit(X, X, verbose=0)


without_sum, _, _ = left_by(fit, WithoutSum)
print(f"fit without the sum over replicas: {without_sum} graphs left")
by_fit, alive_fit, last = left_by(fit)
print(f"fit: {by_fit} graphs and {alive_fit} models left")
names = sorted({graph.name for graph in last})
print(f"one of them: {names}")
found = (by_predict, alive, without_sum, by_fit, alive_fit)
sys.exit(found != (0, 0, 0, NUM_FITS, 0))
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/environment/bin/python" "$folder/try.py" 2>/dev/null

# per 5 models that were used once and dropped:
# predict: 0 graphs and 0 models left
# fit without the sum over replicas: 0 graphs left
# fit: 5 graphs and 0 models left
# one of them: ['one_step_on_data']
