"""
Two dimensions, where the truth is known
========================================

In the plane everything about a density can be looked at. The data are eight
Gaussians on a circle. An autoencoder with three latent variables for two
coordinates is free to reconstruct any point of the plane, and where it does so
between or beyond the data, its error misleads. NAE has the same networks and
learns the density of the data.
"""

# %%
# The data
# --------
# Every batch has fresh samples. As outliers serve points spread evenly over the
# square; some of them lie among the data.

import keras
import matplotlib.pyplot as plt
import numpy as np

from nae_tf import NAE, Euclidean, LangevinChain, OnManifold
from nae_tf.data import eight_gaussians
from nae_tf.metrics import auroc
from nae_tf.networks import FCRes2Decoder, FCRes2Encoder

keras.utils.set_random_seed(0)
task = eight_gaussians()
BATCH_SIZE, NUM_STEPS, BOUND = 200, 600, 5.0


def points(examples, number=2000):
    """Read the first points of a split."""
    batches = examples.batches(number, limit=number)
    return np.concatenate(list(batches.as_numpy_iterator()))


inliers, outliers = points(task.test), points(task.outliers["uniform"])

# %%
# The true density on a grid of 100 by 100 cells.

NUM_CELLS = 100
CELL_AREA = (2 * BOUND / NUM_CELLS) ** 2
ticks = (np.arange(NUM_CELLS) + 0.5) / NUM_CELLS * 2 * BOUND - BOUND
grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
grid = grid.astype("float32")

angles = np.arange(8) * np.pi / 4
centers = np.sqrt(8) * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def true_density(x):
    """Return the mean of eight Gaussians of variance 1 / 8."""
    squares = np.sum((x[:, None] - centers) ** 2, axis=-1)
    return np.mean(np.exp(-4 * squares) * 4 / np.pi, axis=1)


# %%
# The model
# ---------
# The visible chain's moves are as long as the way from one Gaussian to the
# next. Metropolis-Hastings accepts or refuses each, so the chain's samples are
# those of the model. The temperature T is trained too.

sampler = OnManifold(
    latent_chain=LangevinChain(
        num_steps=5, step_size=0.0625, noise_std=1.0, metropolis_hastings=True
    ),
    visible_chain=LangevinChain(
        num_steps=20,
        step_size=0.0625,
        noise_std=1.0,
        metropolis_hastings=True,
        bounds=(-BOUND, BOUND),
        boundary="reject",
    ),
)
sizes = {"units": 64, "hidden_units": 128, "num_blocks": 2}


def make_model():
    """Return a new NAE, its weights drawn by the same seed."""
    keras.utils.set_random_seed(0)
    return NAE(
        FCRes2Encoder(latent_dim=3, **sizes),
        FCRes2Decoder(latent_dim=3, **sizes),
        sampler=sampler,
        latent_space=Euclidean(),
        temperature=0.03,
        temperature_learning_rate=1e-3,
        latent_l2=0.01,
    )


# %%
# Both models take as many steps with the same rate. The settings were chosen
# with another seed.

model, autoencoder = make_model(), make_model().autoencoder()
for trained in (autoencoder, model):
    rate = keras.optimizers.schedules.CosineDecay(2e-3, NUM_STEPS)
    trained.compile(keras.optimizers.Adam(rate))
    trained.fit(
        task.train.training_batches(BATCH_SIZE, seed=0),
        steps_per_epoch=NUM_STEPS,
        shuffle=False,
        verbose=0,
    )

# %%
# The comparison
# --------------
# NAE's energy over its temperature is the logarithm of a density up to a
# constant, which a sum over the grid gives. The total variation is half the
# integral of the absolute difference from the truth: 0 is perfect, 1 is the
# worst.

truth = true_density(grid)
energy = model.predict_outlier_score(grid)
density = np.exp(-(energy - energy.min()) / float(model.temperature))
density /= density.sum() * CELL_AREA
total_variation = np.abs(density - truth).sum() * CELL_AREA / 2
print(f"total variation of NAE from the truth: {total_variation:.3f}")

for name, score in [
    ("autoencoder", autoencoder.predict_outlier_score),
    ("NAE", model.predict_outlier_score),
    ("the true density", lambda x: -true_density(x)),
]:
    print(f"AUROC of {name}: {auroc(score(inliers), score(outliers)):.3f}")

# %%
# NAE's density has all eight Gaussians, and so have its samples, whose chains
# start at noise in the latent space. The autoencoder's error, on the right, is
# small (dark) along rays that lead away from the data.

samples = model.sample(1000, seed=1).x.numpy()
ae_error = autoencoder.predict_outlier_score(grid)
shape = (NUM_CELLS, NUM_CELLS)
box = {"origin": "lower", "extent": [-BOUND, BOUND, -BOUND, BOUND]}

fig, axes = plt.subplots(
    1, 4, figsize=(9.5, 3.7), layout="compressed", sharex=True, sharey=True
)
top = truth.max()
axes[0].imshow(truth.reshape(shape), vmax=top, **box)
shown = axes[1].imshow(density.reshape(shape), vmax=top, **box)
fig.colorbar(shown, ax=axes[:2], location="bottom", label="probability density")
axes[2].plot(*samples.T, ".", markersize=2)
axes[2].set_aspect("equal")
error = axes[3].imshow(
    np.log10(ae_error + 1e-6).reshape(shape), cmap="magma", **box
)
fig.colorbar(error, ax=axes[3], location="bottom", label="log10 of the error")
titles = ["truth", "density of NAE", "samples of NAE", "error of autoencoder"]
for axis, title in zip(axes, titles, strict=True):
    axis.set(title=title, xlabel="x1", xticks=[-4, 0, 4], yticks=[-4, 0, 4])
axes[0].set_ylabel("x2")
plt.show()
