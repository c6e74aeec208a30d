"""
Your own networks: vibrations of a machine
==========================================

`NAE` takes any two Keras models that invert each other's shapes. Here these are
one-dimensional convolutional networks for the vibrations of a machine. The
fault to find is a machine that runs weakly or stands still: its vibrations are
simpler than any that were seen, and an autoencoder reconstructs them best of
all. The example also uses callbacks, and saves and loads the model.
"""

# %%
# The data
# --------
# A window has 64 values in [0, 1]: a tone of about three turns, its overtone, a
# random phase of each, and noise. Three faults change the strength of the tone
# or of the overtone.

import pathlib
import tempfile

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from nae_tf import NAE, LangevinChain, OnManifold
from nae_tf.metrics import auroc

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
LENGTH, LATENT_DIM = 64, 8


def vibrations(number, tone=1.0, overtone=1.0):
    """Draw windows, float32 [number, 64, 1]."""

    def uniform(low, high):
        return rng.uniform(low, high, (number, 1))

    angle = 2 * np.pi * uniform(2.8, 3.2) * np.arange(LENGTH) / LENGTH
    first = np.sin(angle + uniform(0, 2 * np.pi))
    second = np.sin(2 * angle + uniform(0, 2 * np.pi))
    x = 0.5 + tone * uniform(0.18, 0.26) * first
    x = x + overtone * uniform(0.08, 0.14) * second
    x = x + rng.normal(0, 0.01, (number, LENGTH))
    return np.clip(x, 0, 1)[..., None].astype("float32")


train, validation, test = (vibrations(n) for n in (4000, 500, 1000))
faults = {
    "weak": vibrations(500, tone=0.3, overtone=0.3),
    "stopped": vibrations(500, tone=0, overtone=0),
    "no overtone": vibrations(500, overtone=0),
}

# %%
# Two networks
# ------------
# The encoder's output is linear, because the model projects it to the sphere of
# latents. The decoder ends in a sigmoid, as the values are in [0, 1].

encoder = keras.Sequential(
    [
        keras.Input((LENGTH, 1)),
        layers.Conv1D(16, 5, strides=2, padding="same", activation="relu"),
        layers.Conv1D(32, 5, strides=2, padding="same", activation="relu"),
        layers.Conv1D(32, 5, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(LATENT_DIM),
    ]
)
transpose = {"kernel_size": 5, "strides": 2, "padding": "same"}
decoder = keras.Sequential(
    [
        keras.Input((LATENT_DIM,)),
        layers.Dense(LENGTH // 8 * 32, activation="relu"),
        layers.Reshape((LENGTH // 8, 32)),
        layers.Conv1DTranspose(32, activation="relu", **transpose),
        layers.Conv1DTranspose(16, activation="relu", **transpose),
        layers.Conv1DTranspose(1, activation="sigmoid", **transpose),
    ]
)

# %%
# The default chains are the paper's for 784 pixels. The gradient of a mean over
# 64 values is twelve times as large, so ten visible steps do. The step size of
# the latent chain and the number of steps were chosen with such faults in view:
# the AUROC below illustrates the method, it is no benchmark.

sampler = OnManifold(
    latent_chain=LangevinChain(num_steps=10, step_size=2.0, noise_std=0.05),
    visible_chain=LangevinChain(
        num_steps=10,
        step_size=10.0,
        noise_std=0.05,
        noise_schedule="reciprocal",
        gradient_clip="element",
        bounds=(0.0, 1.0),
    ),
)
model = NAE(encoder, decoder, sampler=sampler)

# %%
# Pre-training with a callback of Keras
# -------------------------------------


def aurocs():
    """Return the AUROC of every fault."""
    scores = model.predict_outlier_score(test)
    return {
        name: auroc(scores, model.predict_outlier_score(fault))
        for name, fault in faults.items()
    }


autoencoder = model.autoencoder()
autoencoder.compile(keras.optimizers.Adam(1e-3))
history = autoencoder.fit(
    train,
    validation_data=(validation,),
    batch_size=64,
    epochs=20,
    callbacks=[keras.callbacks.EarlyStopping(patience=3)],
    verbose=0,
)
print(f"epochs of pre-training: {len(history.epoch)}")
of_autoencoder = aurocs()

# %%
# Training with a callback of your own
# ------------------------------------
# A callback follows the AUROC of the faults, for the picture alone: nothing is
# stopped or kept by it.


class FollowFaults(keras.callbacks.Callback):
    """Measure every fault's AUROC after every 25 steps."""

    def on_train_begin(self, logs=None):
        """Begin with the autoencoder's."""
        self.step, self.measured = 0, {0: of_autoencoder}

    def on_train_batch_end(self, batch, logs=None):
        """Count, and measure when it is time."""
        self.step += 1
        if self.step % 25 == 0:
            self.measured[self.step] = aurocs()


follow = FollowFaults()
rate = keras.optimizers.schedules.CosineDecay(1e-3, decay_steps=190)
model.compile(keras.optimizers.Adam(rate))
model.fit(train, batch_size=64, epochs=3, callbacks=[follow], verbose=0)
of_nae = aurocs()
print(f"{'AUROC':12}  autoencoder    NAE")
for name, value in of_nae.items():
    print(f"{name:12}  {of_autoencoder[name]:11.3f}  {value:5.3f}")

# %%
# To the autoencoder a weak or a stopped machine is more normal than a running
# one; NAE finds both. A tone without its overtone is found by neither.

fig, (left, right) = plt.subplots(
    1, 2, figsize=(9.5, 3.4), layout="constrained"
)
for offset, (name, x) in enumerate({"normal": test, **faults}.items()):
    for example, width in [(x[0, :, 0], 1.5), (model(x[:1])[0, :, 0], 0.8)]:
        style = "-" if width > 1 else "--"
        left.plot(example - offset, style, color=f"C{offset}", lw=width)
    left.text(65, 0.4 - offset, name, color=f"C{offset}")
left.set(yticks=[], xlabel="time (samples)", ylabel="vibration (shifted)")
left.set_title("windows, dashed their reconstructions by NAE", fontsize=11)
for color, name in enumerate(faults, start=1):
    values = [measured[name] for measured in follow.measured.values()]
    right.plot([*follow.measured], values, "o-", color=f"C{color}", label=name)
right.axhline(0.5, color="gray", linestyle=":", label="chance")
right.set(xlabel="step of NAE (0: the autoencoder)", ylabel="AUROC")
right.set_title("how well the faults are found", fontsize=11)
right.legend()
plt.show()

# %%
# Save and load
# -------------
# One file holds networks, sampler, weights, and the optimizer's state. Keras
# loads it in its safe mode, as every layer here is one of its own; a layer of
# yours needs `@keras.saving.register_keras_serializable()`.

with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "machine.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
difference = np.abs(
    loaded.predict_outlier_score(test) - model.predict_outlier_score(test)
)
print(f"largest difference of scores after loading: {difference.max()}")
