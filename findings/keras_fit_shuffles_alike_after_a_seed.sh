#!/usr/bin/env bash
# Keras 3: the order of the rows in each epoch after a seed.
#
# Guess: after keras.utils.set_random_seed, fit(array, shuffle=True) is repeatable
# from run to run, and still shuffles anew before each epoch.
#
# Seen with Keras 3.15.1 (TensorFlow 2.21.0, NumPy 2.4.6, Python 3.11): without a
# seed each epoch has an order of its own. With one, all epochs of a fit have the
# same order, so every epoch sees the same batches. tf.data's own shuffle under
# the same seed does shuffle anew. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  "keras==3.15.1" "numpy==2.4.6" "tensorflow==2.21.0"
cat >"$folder/try.py" <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

ROWS = 8


class Watch(keras.Model):
    """Notes the rows of each batch and learns nothing."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, inputs):
        return inputs

    def train_step(self, data):
        batch = data[0] if isinstance(data, tuple) else data
        self.seen += np.ravel(batch).astype(int).tolist()
        return {"loss": tf.constant(0.0)}


def orders(data, **settings):
    """The rows of each of 3 epochs, in the order of training."""
    model = Watch()
    model.compile(run_eagerly=True)
    model.fit(data, epochs=3, verbose=0, **settings)
    return np.reshape(model.seen, (3, ROWS)).tolist()


rows = np.arange(ROWS, dtype=np.float32)[:, None]
dataset = tf.data.Dataset.from_tensor_slices(rows)
array = {"batch_size": 4, "shuffle": True}
found = {"array, no seed": orders(rows, **array)}
keras.utils.set_random_seed(0)
found["array, seed 0"] = orders(rows, **array)
found["tf.data, seed 0"] = orders(
    dataset.shuffle(ROWS).batch(4), shuffle=False
)
different = {}
for name, epochs in found.items():
    different[name] = len({tuple(epoch) for epoch in epochs})
    shown = " ".join("".join(map(str, epoch)) for epoch in epochs)
    print(f"{name}: 3 epochs, {different[name]} order(s): {shown}")
print(f"Keras {keras.__version__}, TensorFlow {tf.__version__}")
sys.exit(
    different["array, seed 0"] != 1
    or different["array, no seed"] == 1
    or different["tf.data, seed 0"] == 1
)
PYTHON
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 \
  "$folder/venv/bin/python" "$folder/try.py" 2>/dev/null

# array, no seed: 3 epochs, 3 order(s): 27631504 04652317 26173540
# array, seed 0: 3 epochs, 1 order(s): 64732150 64732150 64732150
# tf.data, seed 0: 3 epochs, 3 order(s): 32741065 57041236 15403267
# Keras 3.15.1, TensorFlow 2.21.0
