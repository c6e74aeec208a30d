"""
Handwritten digits, one never seen
==================================

A detector of outliers is trained on normal data alone. Here these are the
digits 0 to 8 of scikit-learn, 8 by 8 pixels; the digit 9 is the outlier, and
no training sees one. A 9 is made of the strokes of a 4 and a 7, so an
autoencoder reconstructs it about as well as the digits that it knows. NAE
starts from this autoencoder and unlearns what it was never shown.
"""

# %%
# The data
# --------
# `digits_holdout` makes the splits. Nothing is downloaded, because the images
# come with scikit-learn. Pixels are in [0, 1].

import keras
import matplotlib.pyplot as plt
import numpy as np

from nae_tf import NAE, LangevinChain, OnManifold
from nae_tf.data import digits_holdout
from nae_tf.metrics import auroc
from nae_tf.networks import MLPDecoder, MLPEncoder

keras.utils.set_random_seed(0)
task = digits_holdout(held_out_class=9)


def images(examples):
    """Read all images of a split."""
    return np.concatenate(list(examples.batches(256).as_numpy_iterator()))


digits, nines = images(task.test), images(task.outliers["digit 9"])
print(f"training digits: {task.train.size}")
print(f"test digits: {len(digits)}, nines: {len(nines)}")

# %%
# The model
# ---------
# Two networks and a sampler. While it trains, NAE draws samples from itself:
# a latent chain moves on the sphere of latents, its decoded end starts a
# visible chain among the images.

SHAPE, LATENT_DIM = (8, 8, 1), 16

sampler = OnManifold(
    latent_chain=LangevinChain(num_steps=10, step_size=0.2, noise_std=0.05),
    visible_chain=LangevinChain(
        num_steps=10,
        step_size=10.0,
        noise_std=0.05,
        noise_schedule="reciprocal",
        gradient_clip="element",
        clip_limit=0.01,
        bounds=(0.0, 1.0),
    ),
)
model = NAE(
    MLPEncoder(LATENT_DIM, SHAPE),
    MLPDecoder(LATENT_DIM, SHAPE),
    sampler=sampler,
)

# %%
# Pre-training
# ------------
# The autoencoder of the same two networks comes first. `training_batches`
# shuffles the digits without end and adds the noise that turns 17 grey levels
# into a continuum.

autoencoder = model.autoencoder()
autoencoder.compile(keras.optimizers.Adam(1e-3))
autoencoder.fit(
    task.train.training_batches(batch_size=64, seed=0),
    steps_per_epoch=1500,
    shuffle=False,
    verbose=0,
)
shown = np.concatenate([digits[:6], nines[::30]])
ae_shown = autoencoder.predict(shown, verbose=0)
ae_digits = autoencoder.predict_outlier_score(digits)
ae_nines = autoencoder.predict_outlier_score(nines)

# %%
# Training
# --------
# 1,000 steps, with a learning rate that ends at zero. Rate and chains were
# chosen with other digits held out, by the digits' chimeras: an upper half of
# one digit over the lower half of another. No 9 had a say.

NUM_STEPS = 1000
rate = keras.optimizers.schedules.CosineDecay(2e-3, NUM_STEPS)
model.compile(keras.optimizers.Adam(rate))
model.fit(
    task.train.training_batches(batch_size=64, seed=1),
    steps_per_epoch=NUM_STEPS,
    shuffle=False,
    verbose=0,
)
nae_shown = model.predict(shown, verbose=0)
nae_digits = model.predict_outlier_score(digits)
nae_nines = model.predict_outlier_score(nines)

print(f"AUROC of the autoencoder: {auroc(ae_digits, ae_nines):.3f}")
print(f"AUROC of NAE:             {auroc(nae_digits, nae_nines):.3f}")

# %%
# What each reconstructs
# ----------------------
# The autoencoder copies nines nearly as it copies the digits that it knows. NAE
# blurs them or bends them into known digits, and the difference is the score.

rows = {"image": shown, "autoencoder": ae_shown, "NAE": nae_shown}
fig, axes = plt.subplots(3, 12, figsize=(9.5, 2.4))
fig.subplots_adjust(0.11, 0.01, 0.995, 0.9, wspace=0.08, hspace=0.08)
for row, (name, pictures) in zip(axes, rows.items(), strict=True):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for column, (axis, picture) in enumerate(zip(row, pictures, strict=True)):
        axis.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color="C0" if column < 6 else "C1", linewidth=2)
axes[0, 0].set_title("digits of the test", loc="left", color="C0")
axes[0, 6].set_title("nines, never seen", loc="left", color="C1")
plt.show()

# %%
# The scores
# ----------
# The score of an image is its error of reconstruction, here as its root. NAE
# raises that of nines by more than that of the digits.

fig, axes = plt.subplots(
    1, 2, figsize=(9.5, 3), layout="constrained", sharex=True, sharey=True
)
bins = np.linspace(0, 0.26, 40)
for axis, name, inliers, outliers in [
    (axes[0], "autoencoder", ae_digits, ae_nines),
    (axes[1], "NAE", nae_digits, nae_nines),
]:
    for label, scores in [("digits 0 to 8", inliers), ("digit 9", outliers)]:
        axis.hist(np.sqrt(scores), bins, alpha=0.65, label=label)
    axis.set_title(f"{name}, AUROC {auroc(inliers, outliers):.3f}")
    axis.set_xlabel("root-mean-square error (grey value, 0 to 1)")
    axis.legend()
axes[0].set_ylabel("number of images")
plt.show()
