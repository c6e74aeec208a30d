"""Fitting and scoring: arguments, examples, phases, guards, the estimator."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf import (
    NAE,
    ContrastiveDivergence,
    LangevinChain,
    NAEDetector,
    OnManifold,
)
from nae_tf.training.divergence import DivergenceGuard
from nae_tf.training.experiment import Phase
from nae_tf.training.interruption import CheckpointSchedule

NAN, INFINITY = math.nan, math.inf
X = np.zeros([8, 4], "float32")
MASKED = np.ma.masked_equal(np.arange(32.0, dtype="f4").reshape(8, 4), 5)


@functools.cache
def trainable_nae(run_eagerly=False):
    """An NAE for X whose visible chain has the box [0, 1].

    After examples that are refused its step is traced anew, so it has one chain
    alone.
    """
    chain = LangevinChain(2, 0.1, 0.05, bounds=(0.0, 1.0))
    sampler = ContrastiveDivergence(visible_chain=chain)
    model = NAE(*vector_networks(), sampler=sampler)
    model.compile("sgd", run_eagerly=run_eagerly)
    return model


def fit(x, **settings):
    return lambda: trainable_nae().fit(x, verbose=0, **settings)


def batches(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(3)


def compiled(**arguments):
    return lambda: NAE(*vector_networks()).compile("sgd", **arguments)


def estimator(**settings):
    return lambda: NAEDetector(**settings).fit(np.eye(5))


def phase(**settings):
    settings = {"optimizer": keras.optimizers.Adam, "epochs": 1} | settings
    return lambda: Phase(**settings)


def estimator_of_huge_features():
    x = np.eye(5)
    x[3, 2] = np.finfo(float).max
    NAEDetector().fit(x)


def estimator_that_diverges():
    visible = LangevinChain(50, 100.0, 0.05)
    latent = LangevinChain(1, 0.2, 0.05)
    sampler = OnManifold(latent_chain=latent, visible_chain=visible)
    x = np.random.default_rng(0).normal(size=(100, 4))
    NAEDetector(
        networks="MLP",
        pretraining_steps=10,
        steps=30,
        random_state=0,
        sampler=sampler,
    ).fit(x)


def with_value(value):
    x = X.copy()
    x[6, 1] = value
    return x


BAD_EXAMPLES = {
    "too few features": (X[:, :2], "expected examples of shape"),
    "no batch axis": (X[:, 0], "expected examples of shape"),
    "integers": (np.ones([8, 4], "uint8"), r"astype\('float32'\) / 255"),
    "booleans": (np.ones([8, 4], bool), "expected floating-point"),
    "NaN": (with_value(NAN), "NaN or infinity; remove or repair"),
    "infinity": (with_value(INFINITY), "NaN or infinity; remove or repair"),
    "too large": (with_value(1.5), r"values in \[0, 1\].*rescale"),
    "too small": (with_value(-0.1), r"values in \[0, 1\].*rescale"),
    "nothing": (X[:0], "no examples"),
}


def examples_case(x, method, as_data, run_eagerly):
    """The same examples in one of the ways to hand them over."""
    return lambda: getattr(trainable_nae(run_eagerly), method)(as_data(x))


CASES = {
    **{
        f"{name} {method} {as_data.__name__} {run_eagerly=}": (
            examples_case(x, method, as_data, run_eagerly),
            message,
        )
        for name, (x, message) in BAD_EXAMPLES.items()
        for method in ("fit", "evaluate", "predict_outlier_score")
        for as_data in (np.asarray, batches)
        for run_eagerly in (False, True)
    },
    **{
        f"masked entries in {method}": (
            examples_case(MASKED, method, lambda x: x, False),
            "1 of 32 values are masked; fill them, or remove those",
        )
        for method in ("fit", "evaluate", "predict_outlier_score")
    },
    "masked entries in a batch": (
        lambda: trainable_nae().predict_outlier_score(iter([X, MASKED])),
        "1 of 32 values are masked",
    ),
    "masked entries in an estimator": (
        lambda: NAEDetector(steps=1).fit(MASKED),
        "1 of 32 values are masked",
    ),
    "loss": (compiled(loss="mse"), "Remove the argument"),
    "loss by its place": (
        lambda: NAE(*vector_networks()).compile("sgd", "mse"),
        "no 'loss'.*received 'mse'. Remove the argument",
    ),
    "metrics": (compiled(metrics=["mae"]), "Remove the argument"),
    "weighted metrics": (
        compiled(weighted_metrics=["mae"]),
        "Remove the argument",
    ),
    "loss weights": (compiled(loss_weights=[1.0]), "Remove the argument"),
    "sample weights": (fit(X, sample_weight=np.ones(8)), "leave sample_weight"),
    "labels and sample weights": (
        fit(X, y=np.zeros(8), sample_weight=np.ones(8)),
        "leave sample_weight",
    ),
    "class weights": (
        fit(X, y=np.zeros(8), class_weight={0: 2.0}),
        "class_weight out",
    ),
    "validation data": (
        fit(X, validation_data=(with_value(NAN),)),
        "NaN or infinity; remove or repair",
    ),
    "scores without end": (
        lambda: trainable_nae().predict_outlier_score(batches(X).repeat()),
        r"the dataset has no end; leave repeat\(\) out",
    ),
    **{
        f"batches of {size}": (
            lambda size=size: trainable_nae().predict_outlier_score(X, size),
            f"integer batch_size >= 1, received {size}",
        )
        for size in (0, -1, 2.5, None)
    },
    "nothing but empty batches": (
        lambda: trainable_nae().predict_outlier_score(iter([X[:0]] * 2)),
        "no examples to score",
    ),
    "filtered until nothing is left": (
        fit(batches(X).filter(lambda x: False)),
        "no examples to fit",
    ),
    "evaluated until nothing is left": (
        lambda: trainable_nae().evaluate(
            batches(X).filter(lambda x: False), verbose=0
        ),
        "no examples to evaluate",
    ),
    "contamination": (
        estimator(contamination=0.6),
        r"contamination in \(0, 0.5\], received 0.6",
    ),
    "network name": (
        estimator(networks="VGG"),
        r"\['FCRes2', 'MLP'\] or a function.*'VGG'",
    ),
    "one latent": (
        estimator(networks="MLP", latent_dim=1),
        "latent_dim >= 2, received 1",
    ),
    "negative steps": (estimator(steps=-1), "steps >= 0, received -1"),
    "estimator's batches": (estimator(batch_size=0), "batch_size >= 1"),
    "learning rate": (estimator(learning_rate=0.0), "learning_rate > 0"),
    **{
        f"estimator's {name} {value!r}": (
            estimator(**{name: value}),
            rf"expected .*{name}.*received {value!r}",
        )
        for name, value in [
            ("contamination", "auto"),
            ("steps", 1.0),
            ("batch_size", "64"),
            ("learning_rate", "1e-3"),
            ("missing_values", "mean"),
        ]
    },
    "a list of networks": (estimator(networks=["MLP"]), "received .'MLP'."),
    "huge features": (estimator_of_huge_features, "scale them first"),
    "estimator that diverges": (
        estimator_that_diverges,
        "training diverged.*lower learning_rate",
    ),
    **{
        f"phase's {name} {value!r}": (
            phase(**{name: value}),
            f"Phase: expected .*{name}.*received",
        )
        for name, value in [
            ("epochs", None),
            ("epochs", 1.5),
            ("batch_size", 8.0),
            ("steps_per_epoch", "2"),
            ("flip", "no"),
            ("dequantize", 1),
            ("optimizer", None),
        ]
    },
    "phase's epochs": (phase(epochs=-1), "epochs in 0"),
    "phase's batches": (phase(batch_size=0), "batch_size in 1"),
    "phase's steps": (phase(steps_per_epoch=0), "steps_per_epoch in 1"),
    "phase's passes": (phase(max_passes=0), "max_passes in 1"),
    "phase's patience": (phase(patience=0), "patience in 1"),
    "phase's snapshots": (phase(num_snapshots=-1), "num_snapshots in 0"),
    **{
        f"checkpoints' {name} {value}": (
            lambda name=name, value=value: CheckpointSchedule(**{name: value}),
            f"CheckpointSchedule: expected {name} .*received {value}",
        )
        for name, value in [
            ("interval_seconds", -1.0),
            ("interval_seconds", NAN),
            ("max_share", 0.0),
            ("max_share", 1.5),
        ]
    },
    "phase's keep": (phase(keep="first"), "'best' or 'last'"),
    **{
        f"guard's {name} {value}": (
            lambda name=name, value=value: DivergenceGuard(**{name: value}),
            f"DivergenceGuard: .*{name}",
        )
        for name, value in [
            ("action", "pray"),
            ("max_roll_backs", -1),
            ("rate_factor", 0.0),
            ("rate_factor", 2.0),
            ("patience", 0),
            ("weights_every", 0),
            ("max_weight_growth", 0.5),
            ("max_gap_ratio", NAN),
        ]
    },
}
