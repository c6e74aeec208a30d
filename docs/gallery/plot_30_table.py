"""
A table, beside other detectors
===============================

`NAEDetector` is a scikit-learn estimator. It takes the place of any other
outlier detector, in a pipeline and in a search. Here it meets three of
scikit-learn's on 30 measurements of cell nuclei: benign samples are normal,
malignant ones are to be found.
"""

# %%
# The data
# --------
# Detectors see seven tenths of the benign samples and no malignant one. The
# other benign samples and all malignant ones are the test.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import RocCurveDisplay, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from nae_tf import NAEDetector

features, classes = load_breast_cancer(return_X_y=True)
malignant, benign = features[classes == 0], features[classes == 1]
train, test = train_test_split(benign, test_size=0.3, random_state=0)
x_test = np.concatenate([test, malignant])
is_outlier = np.repeat([False, True], [len(test), len(malignant)])
print(f"training rows: {len(train)}, features: {train.shape[1]}")
print(f"test rows: {len(test)} benign, {len(malignant)} malignant")

# %%
# The detectors
# -------------
# Each has its defaults; `contamination` does not change scores. `NAEDetector`
# standardises features by itself, the two that measure distances get a scaler.
# In scikit-learn a high score is normal: the minus sign makes it high for
# outliers.

detectors = {
    "NAEDetector": NAEDetector(contamination=0.05, random_state=0),
    "IsolationForest": IsolationForest(random_state=0),
    "LocalOutlierFactor": make_pipeline(
        StandardScaler(), LocalOutlierFactor(novelty=True)
    ),
    "OneClassSVM": make_pipeline(StandardScaler(), OneClassSVM()),
}
scores = {
    name: -detector.fit(train).score_samples(x_test)
    for name, detector in detectors.items()
}
for name, values in scores.items():
    print(f"AUROC of {name}: {roc_auc_score(is_outlier, values):.3f}")

# %%
# ROC curves
# ----------
# A point of a curve is a threshold: the share of malignant samples above it,
# against the share of benign ones. One split of one table ranks nobody; the
# pages of results compare over several.

fig, axis = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
for name, values in scores.items():
    RocCurveDisplay.from_predictions(is_outlier, values, name=name, ax=axis)
axis.set(
    xlabel="share of benign samples called outliers",
    ylabel="share of malignant samples found",
    xlim=(0, 0.5),
    ylim=(0.5, 1.01),
    aspect="auto",
)
axis.legend(loc="lower right")
plt.show()

# %%
# Labels
# ------
# `contamination` sets the threshold: the share of training rows that `predict`
# calls outliers. Unseen benign rows exceed it somewhat more often, because some
# of the networks have been trained on each of those. `select` needs no such
# share: it bounds the expected share of benign rows among what it selects.

detector = detectors["NAEDetector"]
found = detector.predict(x_test) == -1
print(f"benign rows called outliers: {found[~is_outlier].mean():.1%}")
print(f"malignant rows found: {found[is_outlier].mean():.1%}")
selected = detector.select(x_test, false_discovery_rate=0.1)
print(f"selected at a false discovery rate of 10 %: {selected.sum()}")
print(f"benign rows among them: {np.mean(~is_outlier[selected]):.1%}")

fig, axis = plt.subplots(figsize=(7, 3), layout="constrained")
values = scores["NAEDetector"]
bins = np.geomspace(values.min(), values.max(), 40)
for name, chosen in [("benign", ~is_outlier), ("malignant", is_outlier)]:
    axis.hist(values[chosen], bins, alpha=0.65, label=name)
axis.axvline(-detector.offset_, color="gray", linestyle="--", label="threshold")
axis.set(
    xscale="log",
    xlabel="outlier score (energy, about 1 for inliers)",
    ylabel="number of rows",
)
axis.legend()
plt.show()
