#!/usr/bin/env bash
# PyOD PCA: a column that is there twice.
#
# Guess: a duplicated column weighs its feature twice and changes the scores of
# PyOD's PCA a little, as it does those of most detectors; or fit refuses it.
#
# Seen with PyOD 3.6.7 (NumPy 2.4.6, scikit-learn 1.9.1, Python 3.11): the distance
# to each component is divided by the component's share of the variance, and the
# copy leaves a component without any. Where rounding makes its share zero, all
# scores are inf, the threshold is NaN and fit labels no row an outlier; where a
# trace of it is left, all scores are finite and over 1e12. There is no error, at
# most NumPy's RuntimeWarning. Which of the two comes is a matter of the seed.
# Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  "numpy==2.4.6" "pyod==3.6.7" "scikit-learn==1.9.1"
cat >"$folder/try.py" <<'PYTHON'
import collections
import importlib.metadata
import sys
import warnings

import numpy as np
from pyod.models.pca import PCA

warnings.simplefilter("ignore", RuntimeWarning)


def outcome(rows):
    detector = PCA().fit(rows)
    scores = detector.decision_function(rows)
    if np.isinf(scores).all():
        threshold = "NaN" if np.isnan(detector.threshold_) else "a number"
        flagged = detector.labels_.sum()
        return f"all inf, threshold {threshold}, {flagged} outliers"
    if scores.min() > 1e12:
        return "all finite and over 1e12"
    return "all below 1000" if scores.max() < 1000 else "mixed"


found = {"as they are": collections.Counter(), "one twice": collections.Counter()}
for seed in range(20):
    rows = np.random.default_rng(seed).normal(size=(200, 3))
    found["as they are"][outcome(rows)] += 1
    found["one twice"][outcome(rows[:, [0, 1, 2, 0]])] += 1
for name, outcomes in found.items():
    for text, count in outcomes.most_common():
        print(f"columns {name}: {count} of 20 fits: {text}")
print("PyOD", importlib.metadata.version("pyod"))
broken = {"all inf, threshold NaN, 0 outliers", "all finite and over 1e12"}
sys.exit(
    set(found["as they are"]) != {"all below 1000"}
    or not set(found["one twice"]) <= broken
)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# columns as they are: 20 of 20 fits: all below 1000
# columns one twice: 12 of 20 fits: all inf, threshold NaN, 0 outliers
# columns one twice: 8 of 20 fits: all finite and over 1e12
# PyOD 3.6.7
