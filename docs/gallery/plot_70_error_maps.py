"""
Where an image is wrong
=======================

The score of an image is its error of reconstruction, averaged over the pixels.
The errors before the average are a map of the places where an image is wrong.
Here digits of scikit-learn get a scratch, and the map shows it.
"""

# %%
# The data
# --------
# The defect is a bright stroke of four pixels on digits of the test, 8 by 8
# pixels in [0, 1]. Training sees no defect.

import tempfile

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from nae_tf import Autoencoder, Calibration, ExportedModel, export_model
from nae_tf.data import digits_holdout
from nae_tf.metrics import auroc, detection_curve
from nae_tf.networks import MLPDecoder, MLPEncoder

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
task = digits_holdout(held_out_class=9)


def images(examples):
    """Read all images of a split."""
    return np.concatenate(list(examples.batches(256).as_numpy_iterator()))


def scratched(image):
    """Return a copy with a stroke of four pixels, straight or diagonal."""
    direction = np.array([(0, 1), (1, 0), (1, 1), (1, -1)][rng.integers(4)])
    pixels = np.arange(4)[:, None] * direction
    pixels += rng.integers(-pixels.min(0), 8 - pixels.max(0))
    image = image.copy()
    image[pixels[:, 0], pixels[:, 1]] = 1.0
    return image


digits = images(task.test)
defective = np.stack([scratched(image) for image in digits])
# Where the digit was bright already, the stroke changes nothing.
is_defect = (defective - digits)[..., 0] > 0.25
print(
    f"images: {len(digits)}, changed pixels per image: "
    f"{is_defect.sum((1, 2)).mean():.1f}"
)

# %%
# The model
# ---------
# An autoencoder of few latent variables has no code for a scratch. An NAE has
# the same two networks and is exported in the same way.

SHAPE, LATENT_DIM = (8, 8, 1), 12
model = Autoencoder(
    MLPEncoder(LATENT_DIM, SHAPE), MLPDecoder(LATENT_DIM, SHAPE)
)
model.compile(keras.optimizers.Adam(1e-3))
history = model.fit(
    task.train.training_batches(batch_size=64, seed=0),
    steps_per_epoch=2000,
    shuffle=False,
    verbose=0,
)
calibration = Calibration(model.predict_outlier_score(images(task.validation)))

# %%
# The export
# ----------
# `export_model` writes a SavedModel with one signature per kind of request.
# `ExportedModel` scores with it. The signature `reconstruct` answers with the
# reconstruction and the error map; TensorFlow Serving offers the same.

with tempfile.TemporaryDirectory() as folder:
    path = export_model(model, calibration, folder)
    exported = ExportedModel(path)
    reconstruct = tf.saved_model.load(str(path)).signatures["reconstruct"]

scores = exported.score(digits)["energy"]
defect_scores = exported.score(defective)["energy"]
flagged = exported.score(defective)["is_outlier"].mean()
answer = reconstruct(examples=tf.constant(defective))
reconstructions = answer["reconstruction"].numpy()
maps = answer["error_map"].numpy()

print(f"AUROC of images: {auroc(scores, defect_scores):.3f}")
print(f"AUROC of pixels: {auroc(maps[~is_defect], maps[is_defect]):.3f}")
print(f"defective images flagged: {flagged:.3f}")

# %%
# The maps
# --------
# The reconstruction leaves out what lies beside the digit, so the map shows it.
# It shows less of a stroke that runs along the digit's own. Red frames mark the
# pixels that the stroke has changed.

fig, axes = plt.subplots(3, 8, figsize=(9.5, 3.6), layout="constrained")
rows = {
    "defective": defective[..., 0],
    "reconstruction": reconstructions[..., 0],
    "error map": maps,
}
for row, (name, pictures) in zip(axes, rows.items(), strict=True):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, picture, mask in zip(row, pictures, is_defect, strict=False):
        color_map = "gray" if name != "error map" else "viridis"
        shown = axis.imshow(picture, color_map, vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        if name == "error map":
            for y, x in np.argwhere(mask):
                axis.add_patch(
                    plt.Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec="r")
                )
fig.colorbar(shown, ax=axes[2], label="squared error")
plt.show()

# %%
# Images and pixels
# -----------------
# A threshold on the scores tells defective images from good ones, a threshold
# on the maps defective pixels from good ones.

fig, axis = plt.subplots(figsize=(4.5, 4), layout="constrained")
for label, inliers, outliers in [
    ("images", scores, defect_scores),
    ("pixels", maps[~is_defect], maps[is_defect]),
]:
    curve = detection_curve(inliers, outliers)
    axis.plot(curve.false_alarm_rate, curve.detection_rate, label=label)
axis.set_xlabel("share of good ones flagged")
axis.set_ylabel("share of defective ones found")
axis.legend()
plt.show()
