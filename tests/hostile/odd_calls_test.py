"""Values of every odd kind in the place of every argument, one by one.

A parameter of a public call has a kind, and a kind has values that are none of
it. Each of them is refused in one line of ValueError: none is taken for
something else, and no error of another library comes through.
"""

import datetime
import fractions

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import short_sampler, vector_nae, vector_networks

from nae_tf import (
    NAE,
    Autoencoder,
    Calibration,
    LangevinChain,
    OnManifold,
    ReplayBuffer,
    benjamini_hochberg,
    export_model,
)
from nae_tf.data import constant, eight_gaussians, noise, split_indices
from nae_tf.metrics import (
    auroc,
    auroc_difference_error,
    detection_curve,
    detection_estimates,
    energy_gap_in_spreads,
    fpr_at_tpr,
    frechet_distance,
    kernel_distance,
)
from nae_tf.networks import MLPEncoder
from nae_tf.serving import Monitor, make_signatures, recalibrate, trim
from nae_tf.tables import cross_conformal_p_values, folds

NAN, INFINITY = float("nan"), float("inf")
DATES = np.array(["2020-01-01", "2020-01-02"], "M8[D]")
NOTHING = {
    "a text": "three",
    "bytes": b"3",
    "a complex number": 1j,
    "a dictionary": {},
    "a set": {1, 2},
    "a class": dict,
    "an object": object(),
    "a date": datetime.date(2020, 1, 1),
    "a duration": np.timedelta64(1, "s"),
    "dates": DATES,
    "durations": np.array([1, 2], "m8[s]"),
    "texts": np.array(["a", "b"]),
    "objects": np.array([None, "a"], object),
    "masked": np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]),
    "complex numbers": np.array([1j, 2]),
    "lists of two lengths": [[1.0], [1.0, 2.0]],
}
# No number at all, beside the values above.
NO_NUMBER = NOTHING | {
    "True": True,
    "an empty list": [],
    "a list": [0.5],
    "a tensor": tf.constant([1.0, 2.0]),
    "an array": np.ones(2),
    "NaN": NAN,
}
NO_INTEGER = NO_NUMBER | {
    "a half": 0.5,
    "a fraction": fractions.Fraction(1, 2),
    "infinity": INFINITY,
}
ODD = {
    "rate": NO_NUMBER | {"None": None, "-1": -1.0, "infinity": INFINITY},
    "count": NO_INTEGER | {"None": None, "-1": -1},
    "seed": NO_INTEGER | {"None": None, "24 digits": 10**24},
    "sizes": NOTHING
    | {
        "None": None,
        "a number": 3,
        "zero": (0,),
        "a half": (0.5,),
        "True": (True,),
        "24 digits": (10**24,),
    },
    "ends": NOTHING
    | {"a number": 3, "one": (1.0,), "backwards": (1, 0), "NaN": (NAN, 1.0)},
    "numbers": NOTHING
    | {"None": None, "True": [True, False], "no number": [None, 1.0]},
    "chain": NO_NUMBER | {"None": None, "-1": -1},
    "ours": NO_NUMBER | {"None": None, "-1": -1},
}
SCORES = np.linspace(0.0, 1.0, 20)
CALIBRATION = Calibration(SCORES)
CHAIN = LangevinChain(2, 0.1)
CURVE = detection_curve([0.0, 1.0, 2.0], [1.5, 3.0])
X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
PAIR = ([1.0, 2.0], [2.0, 3.0])
NETWORKS = vector_networks()
MODEL = vector_nae()


def estimates(**settings):
    return detection_estimates(*PAIR, {"auroc": lambda curve: 0.5}, **settings)


# A call, and the kinds of its parameters by name.
CALLS = {
    "LangevinChain": (
        lambda **odd: LangevinChain(
            **{"num_steps": 2, "step_size": 0.1, "bounds": (0, 1)} | odd
        ),
        {"num_steps": "count", "step_size": "rate", "bounds": "ends"},
    ),
    "OnManifold": (
        lambda **odd: OnManifold(
            **{"latent_chain": CHAIN, "visible_chain": CHAIN} | odd
        ),
        {
            "latent_chain": "chain",
            "visible_chain": "chain",
            "replay_ratio": "rate",
            "replay_capacity": "count",
        },
    ),
    "OnManifold.for_data": (OnManifold.for_data, {"x": "numbers"}),
    "ReplayBuffer": (
        lambda **odd: ReplayBuffer(
            **{"capacity": 3, "state_shape": (2,)} | odd
        ),
        {"capacity": "count", "state_shape": "sizes"},
    ),
    "NAE": (
        lambda **odd: NAE(*NETWORKS, **{"sampler": short_sampler()} | odd),
        {"seed": "seed", "temperature": "rate", "sampler": "ours"}
        | {"latent_space": "ours"},
    ),
    "Autoencoder": (
        lambda **odd: Autoencoder(*NETWORKS, **odd),
        {"distance": "ours", "encoder_l2": "rate", "latent_space": "ours"},
    ),
    "NAE.sample": (
        lambda **odd: MODEL.sample(**{"num_samples": 2} | odd),
        {"num_samples": "count", "seed": "seed"},
    ),
    "NAE.negative_samples": (
        lambda **odd: MODEL.negative_samples(**{"x": X[:3]} | odd),
        {"seed": "seed"},
    ),
    "NAE.predict_outlier_score": (
        lambda **odd: MODEL.predict_outlier_score(**{"x": X} | odd),
        {"batch_size": "count"},
    ),
    "MLPEncoder": (
        lambda **odd: MLPEncoder(
            **{"latent_dim": 2, "example_shape": (4,)} | odd
        ),
        {"latent_dim": "count", "example_shape": "sizes"},
    ),
    "Calibration": (
        lambda **odd: Calibration(**{"scores": SCORES} | odd),
        {
            "scores": "numbers",
            "false_alarm_rate": "rate",
            "failure_probability": "rate",
        },
    ),
    "p_values": (CALIBRATION.p_values, {"scores": "numbers"}),
    "conditional_p_values": (
        CALIBRATION.conditional_p_values,
        {"scores": "numbers"},
    ),
    "is_outlier": (CALIBRATION.is_outlier, {"scores": "numbers"}),
    "benjamini_hochberg": (
        lambda **odd: benjamini_hochberg(
            **{"p_values": [0.1], "false_discovery_rate": 0.1} | odd
        ),
        {"p_values": "numbers", "false_discovery_rate": "rate"},
    ),
    "trim": (
        lambda **odd: trim(**{"scores": SCORES, "share": 0.1} | odd),
        {"scores": "numbers", "share": "rate"},
    ),
    "Monitor": (
        lambda **odd: Monitor(**{"calibration": CALIBRATION} | odd),
        {"calibration": "ours", "level": "rate", "seed": "count"},
    ),
    "Monitor.update": (Monitor(CALIBRATION).update, {"scores": "numbers"}),
    "export_model": (
        lambda **odd: export_model(
            **{"model": MODEL, "calibration": CALIBRATION, "directory": "no"}
            | odd
        ),
        {"model": "ours", "calibration": "ours"},
    ),
    "make_signatures": (
        lambda **odd: make_signatures(
            **{"model": MODEL, "calibration": CALIBRATION} | odd
        ),
        {"model": "ours", "calibration": "ours"},
    ),
    "recalibrate": (
        lambda **odd: recalibrate("no", **odd),
        {"calibration": "ours"},
    ),
    "auroc": (
        lambda **odd: auroc(
            **{"inlier_scores": PAIR[0], "outlier_scores": PAIR[1]} | odd
        ),
        {"inlier_scores": "numbers", "outlier_scores": "numbers"},
    ),
    "auroc_difference_error": (
        lambda scores: auroc_difference_error(PAIR, (PAIR[0], scores)),
        {"scores": "numbers"},
    ),
    "detection_estimates": (
        estimates,
        {"confidence": "rate", "num_resamples": "count", "seed": "count"},
    ),
    "fpr_at_tpr": (lambda tpr: fpr_at_tpr(CURVE, tpr), {"tpr": "rate"}),
    "frechet_distance": (
        lambda x: frechet_distance(x, X),
        {"x": "numbers"},
    ),
    "kernel_distance": (
        lambda block_size: kernel_distance(X, X + 1, block_size),
        {"block_size": "count"},
    ),
    "energy_gap_in_spreads": (
        lambda energies: energy_gap_in_spreads(energies, SCORES),
        {"energies": "numbers"},
    ),
    "cross_conformal_p_values": (
        lambda **odd: cross_conformal_p_values(
            **{
                "energies": np.ones((2, 3)),
                "fold": np.array([0, 1]),
                "left_out_energies": np.ones(2),
            }
            | odd
        ),
        {
            "energies": "numbers",
            "fold": "numbers",
            "left_out_energies": "numbers",
        },
    ),
    "folds": (
        lambda **odd: folds(
            **{"num_rows": 9, "num_members": 2, "seed": 0} | odd
        ),
        {"num_rows": "count", "num_members": "count", "seed": "count"},
    ),
    "split_indices": (
        lambda **odd: split_indices(
            **{"num_examples": 9, "sizes": [2], "seed": 0} | odd
        ),
        {"num_examples": "count", "seed": "count"},
    ),
    "constant": (
        lambda **odd: constant(**{"image_shape": (4, 4, 1)} | odd),
        {"image_shape": "sizes", "split": "ours", "seed": "count"},
    ),
    "noise": (noise, {"image_shape": "sizes"}),
    "eight_gaussians": (eight_gaussians, {"std": "rate"}),
}
# What is odd elsewhere and has a meaning here.
MEANT = {
    ("NAE", "sampler", "None"),
    ("NAE", "latent_space", "None"),
    ("Autoencoder", "latent_space", "None"),
}
CASES = [
    pytest.param(call, name, value, id=f"{title}: {name} is {label}")
    for title, (call, kinds) in CALLS.items()
    for name, kind in kinds.items()
    for label, value in ODD[kind].items()
    if (title, name, label) not in MEANT
]


@pytest.mark.parametrize(("call", "name", "value"), CASES)
def test_an_odd_value_is_refused(call, name, value):
    with pytest.raises(ValueError) as caught:
        call(**{name: value})
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    # Refused by us: the last line of the trace is in the package.
    assert "nae_tf" in str(caught.traceback[-1].path), text
