"""
Scores into decisions
=====================

An outlier score alone sets no limit between inliers and outliers. Inliers that
no training saw do: the share of them with as high a score is a p-value.
P-values allow a selection of outliers whose rate of false discoveries is
bounded beforehand, whatever the model and the distribution of the inliers.
"""

# %%
# The data
# --------
# The table has twelve columns. Three hidden causes determine a row, up to
# noise. In an outlier two columns come from another row: each value is a usual
# one, their combination is not.

import keras
import matplotlib.pyplot as plt
import numpy as np

from nae_tf import Autoencoder, Calibration, Euclidean, benjamini_hochberg
from nae_tf.metrics import auroc
from nae_tf.networks import MLPDecoder, MLPEncoder

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
NUM_COLUMNS, NUM_CAUSES = 12, 3
mixing = rng.normal(size=(2, NUM_CAUSES, NUM_COLUMNS))


def inlier_rows(count):
    """Draw rows, float32 [count, 12]."""
    causes = rng.uniform(-1, 1, [count, NUM_CAUSES])
    rows = np.tanh(causes @ mixing[0]) + np.sin(causes @ mixing[1])
    return np.float32(rows + 0.1 * rng.normal(size=rows.shape))


def outlier_rows(count):
    """Draw rows of which two columns come from other rows."""
    rows, others = inlier_rows(count), inlier_rows(count)
    for row, other in zip(rows, others, strict=True):
        columns = rng.choice(NUM_COLUMNS, 2, replace=False)
        row[columns] = other[columns]
    return rows


# %%
# The model
# ---------
# Any detector will do. An autoencoder of three latent variables is trained in
# seconds; its error of reconstruction is the score.

model = Autoencoder(
    MLPEncoder(NUM_CAUSES, (NUM_COLUMNS,), (64, 64)),
    MLPDecoder(NUM_CAUSES, (NUM_COLUMNS,), (64, 64), output_activation=None),
    latent_space=Euclidean(),
)
model.compile(keras.optimizers.Adam(2e-3))
model.fit(inlier_rows(20_000), batch_size=200, epochs=15, verbose=0)

inliers = model.predict_outlier_score(inlier_rows(20_000), batch_size=1000)
outliers = model.predict_outlier_score(outlier_rows(5000), batch_size=1000)
print(f"AUROC: {auroc(inliers, outliers):.3f}")

# %%
# P-values
# --------
# `Calibration` keeps the scores of held-out inliers. The p-value of a new row
# is the share of scores that are as high, its own included. P-values of inliers
# are uniform: all bars have the same height, up to chance. Those of outliers
# gather at zero. `is_outlier` flags p-values of at most 0.05.

calibration = Calibration(inliers[:999], false_alarm_rate=0.05)
test = {"inliers": inliers[1000:], "outliers": outliers}

bins = np.linspace(0, 1, 21)
fig, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for label, scores in test.items():
    p_values = calibration.p_values(scores)
    weights = np.full(len(scores), 1 / len(scores))
    axis.hist(p_values, bins, weights=weights, alpha=0.65, label=label)
    flagged = calibration.is_outlier(scores).mean()
    print(f"share of {label} flagged: {flagged:.3f}")
axis.axhline(1 / 20, color="black", linestyle=":", label="uniform")
axis.set_xlabel("p-value")
axis.set_ylabel("share of rows per bar")
axis.set_yscale("log")
axis.legend()
plt.show()

# %%
# Many rows at once
# -----------------
# Of 200 rows 20 are outliers. A threshold at p ≤ 0.1 flags a tenth of the 180
# inliers, about as many as there are outliers. `benjamini_hochberg` chooses a
# threshold from all p-values together, such that on average at most a share q
# of the selected rows are inliers. The average is over calibration sets and
# rows, so each of 500 draws takes other ones.

NUM_DRAWS, NUM_INLIERS, NUM_OUTLIERS = 500, 180, 20
levels = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5])
is_outlier = np.arange(NUM_INLIERS + NUM_OUTLIERS) >= NUM_INLIERS


def proportions(selected):
    """Return the shares of false ones in a selection, and of outliers found."""
    false = np.sum(selected & ~is_outlier) / max(np.sum(selected), 1)
    return false, selected[is_outlier].mean()


by_threshold, by_selection = [], []
for _ in range(NUM_DRAWS):
    drawn = rng.choice(inliers, 999 + NUM_INLIERS, replace=False)
    others = rng.choice(outliers, NUM_OUTLIERS, replace=False)
    p_values = Calibration(drawn[:999]).p_values(
        np.concatenate([drawn[999:], others])
    )
    by_threshold.append([proportions(p_values <= q) for q in levels])
    by_selection.append(
        [proportions(benjamini_hochberg(p_values, q)) for q in levels]
    )
false, found = np.mean(by_selection, axis=0).T
for q, false_share, found_share in zip(levels, false, found, strict=True):
    print(
        f"requested {q:.2f}  realised {false_share:.3f}  "
        f"outliers found {found_share:.2f}"
    )

# %%
# The bound is the requested level times the share of inliers among all rows,
# which the method does not know. So the realised rate is below the level.

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
axes[0].plot(levels, levels, color="black", linestyle=":", label="requested")
axes[0].plot(levels, false, marker="o", label="selection at q")
naive_false, naive_found = np.mean(by_threshold, axis=0).T
axes[0].plot(levels, naive_false, marker="s", label="threshold p ≤ q")
axes[0].set_ylabel("share of inliers among the selected")
axes[1].plot(levels, found, marker="o", label="selection at q")
axes[1].plot(levels, naive_found, marker="s", label="threshold p ≤ q")
axes[1].set_ylabel("share of outliers found")
for axis in axes:
    axis.set_xlabel("level q")
    axis.set_ylim(0, 1)
    axis.legend()
plt.show()
