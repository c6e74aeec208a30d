#!/usr/bin/env bash
# TensorFlow and Pillow: the same JPEG file in training and in serving.
#
# Guess: both decode by libjpeg-turbo, so that grey images without chroma are the same
# to the last bit, or differ by a rounding that has no direction.
#
# Seen with TensorFlow 2.21.0 and Pillow 13.0.0 (Python 3.11, Linux): of a smooth grey
# image saved at quality 95, Pillow gives back every level. tf.io.decode_image and
# decode_jpeg are half a level darker on average, and off by up to two, because their
# default of dct_method is INTEGER_FAST. decode_jpeg(dct_method="INTEGER_ACCURATE")
# equals Pillow; decode_image has no such argument. A model trained on images that
# Pillow read and served with TensorFlow's decoder has a small shift in all its scores.
# Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "tensorflow==2.21.0" "pillow==13.0.0"
cat >"$folder/try.py" <<'PYTHON'
import io
import sys

import numpy as np
import PIL.Image
import tensorflow as tf

place = np.arange(64)
image = np.add.outer(2 * place, place).astype(np.uint8)
file = io.BytesIO()
PIL.Image.fromarray(image).save(file, "JPEG", quality=95)
data = file.getvalue()


def accurate(data):
    return tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE")


decoded = {
    "Pillow": np.asarray(PIL.Image.open(io.BytesIO(data))),
    "decode_image": tf.io.decode_image(data).numpy()[..., 0],
    "decode_jpeg": tf.io.decode_jpeg(data).numpy()[..., 0],
    "decode_jpeg, INTEGER_ACCURATE": accurate(data).numpy()[..., 0],
}
found = {}
for name, levels in decoded.items():
    error = levels.astype(int) - image
    found[name] = round(float(error.mean()), 1), int(abs(error).max())
    print(f"{name}: mean error {error.mean():.2f}, largest {abs(error).max()}")
expected = dict(zip(decoded, [(0.0, 0), (-0.5, 2), (-0.5, 2), (0.0, 0)]))
sys.exit(found != expected)
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/environment/bin/python" "$folder/try.py" 2>/dev/null

# Pillow: mean error 0.00, largest 0
# decode_image: mean error -0.50, largest 2
# decode_jpeg: mean error -0.50, largest 2
# decode_jpeg, INTEGER_ACCURATE: mean error 0.00, largest 0
