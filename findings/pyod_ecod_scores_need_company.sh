#!/usr/bin/env bash
# PyOD ECOD: what the score of a row depends on.
#
# Guess: ECOD is fitted once, so decision_function gives a row the same score
# alone, in a batch, and in a stream, as HBOS or a nearest neighbour does.
#
# Seen with PyOD 3.6.7 (NumPy 2.4.6, Python 3.11): the rows that are scored
# together join the training rows in the empirical distribution. The same row
# scores 12.58 alone, 12.32 among 49 near rows and 2.79 among 300 far rows, where
# predict calls it normal. COPOD does the same, HBOS does not. The scores of two
# batches are not comparable, and neither are those of a batch and a stream.
# Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "numpy==2.4.6" "pyod==3.6.7"
cat >"$folder/try.py" <<'PYTHON'
import importlib.metadata
import sys

import numpy as np
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS

random = np.random.default_rng(0)
training = random.normal(size=(200, 3))
row = np.full((1, 3), 2.0)
near = np.concatenate([row, random.normal(size=(49, 3))])
far = np.concatenate([row, np.full((300, 3), 9.0)])
found = {}
for kind in (ECOD, COPOD, HBOS):
    detector = kind().fit(training)
    scores = [detector.decision_function(rows)[0] for rows in (row, near, far)]
    flags = [bool(score > detector.threshold_) for score in scores]
    found[kind.__name__] = bool(np.ptp(scores) > 1e-6), flags
    alone, with_near, with_far = (f"{score:.4f}" for score in scores)
    print(f"{kind.__name__}: alone {alone}, among near rows {with_near}, "
          f"among far rows {with_far}, threshold {detector.threshold_:.4f}")
print("PyOD", importlib.metadata.version("pyod"))
expected = {
    "ECOD": (True, [True, True, False]),
    "COPOD": (True, [True, True, False]),
    "HBOS": (False, [True, True, True]),
}
sys.exit(found != expected)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# ECOD: alone 12.5777, among near rows 12.3159, among far rows 2.7852, threshold 7.2575
# COPOD: alone 6.3115, among near rows 6.1802, among far rows 2.7852, threshold 5.6711
# HBOS: alone 7.9082, among near rows 7.9082, among far rows 7.9082, threshold 5.4446
# PyOD 3.6.7
