"""Every bad input ends in one line that names the cause and the remedy.

One table for the whole package. Bad files, bad requests to a server, and bad
weather need a stage of their own and are tested where that is built.
"""

import functools
import json
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import short_sampler, vector_networks

from nae_tf import (
    NAE,
    Autoencoder,
    ContrastiveDivergence,
    LangevinChain,
    NAEDetector,
    OnManifold,
    PersistentContrastiveDivergence,
    Sphere,
    data,
    datasets,
    image_sets,
    runtime,
    synthetic,
)
from nae_tf.baselines.dae import DAE
from nae_tf.calibration import Calibration, benjamini_hochberg
from nae_tf.digits import digits_holdout
from nae_tf.distribution import make_strategy
from nae_tf.energy import structural_dissimilarity
from nae_tf.examples import ArrayExamples
from nae_tf.experiment import Experiment, Phase
from nae_tf.fast_layers import UpsampledConv2DTranspose
from nae_tf.metrics import auroc, detection_curve, fpr_at_tpr
from nae_tf.networks import Conv64Encoder
from nae_tf.replay_buffer import ReplayBuffer

NAN, INFINITY = math.nan, math.inf
SHORT = LangevinChain(1, 0.1)
NO_CALIBRATION = [
    "",
    "[]",
    "{}",
    '{"scores": "abc"}',
    '{"scores": [1], "x": 1}',
]
ADJUSTED = LangevinChain(1, 0.1, metropolis_hastings=True)
X = np.zeros([8, 4], "float32")


def chain(**settings):
    return lambda: LangevinChain(
        **({"num_steps": 1, "step_size": 1} | settings)
    )


def sampler(**settings):
    return lambda: short_sampler(**settings)


def nae(**settings):
    return lambda: NAE(*vector_networks(), **settings)


def autoencoder(**settings):
    return lambda: Autoencoder(*vector_networks(), **settings)


@functools.cache
def trainable_nae(run_eagerly=False):
    """An NAE for X whose visible chain has the box [0, 1]."""
    model = NAE(*vector_networks(), sampler=short_sampler((0.0, 1.0)))
    model.compile("sgd", run_eagerly=run_eagerly)
    return model


def fit(x, **settings):
    return lambda: trainable_nae().fit(x, verbose=0, **settings)


def batches(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(3)


def compiled(**arguments):
    return lambda: nae()().compile("sgd", **arguments)


def estimator(**settings):
    return lambda: NAEDetector(**settings).fit(np.eye(5))


def phase(**settings):
    return lambda: Phase(optimizer=None, **({"epochs": 1} | settings))


def binding(text):
    return lambda: runtime.parse_config([], [text])


def experiment(*bindings):
    def call():
        runtime.parse_config([], list(bindings))
        Experiment.from_config()

    return call


def zeros(count, size):
    return ArrayExamples(
        f"size {size}", count, (size,), None, lambda: np.zeros((count, size))
    )


def training_batches(count=3, **arguments):
    examples = zeros(count, 1)
    arguments = {"batch_size": 1, "seed": 0} | arguments
    return lambda: examples.training_batches(**arguments)


def task_of(name):
    narrow, wide = zeros(3, 1), zeros(3, 2)
    return lambda: data.Task("t", narrow, narrow, narrow, **{name: {"w": wide}})


def with_value(value):
    x = X.copy()
    x[6, 1] = value
    return x


# name: (call, message) or (call, message, error); ValueError if not named.
BAD = {
    # --- Chains and samplers ---
    "negative steps": (chain(num_steps=-1), "num_steps >= 0"),
    "half a step": (chain(num_steps=2.5), "integer num_steps"),
    "step size 0": (chain(step_size=0.0), "step_size > 0, received 0.0"),
    "negative step size": (chain(step_size=-1.0), "step_size > 0"),
    "step size NaN": (chain(step_size=NAN), "step_size > 0"),
    "negative noise": (chain(noise_std=-0.1), "noise_std >= 0"),
    "infinite noise": (chain(noise_std=INFINITY), "noise_std >= 0"),
    "noise schedule": (chain(noise_schedule="linear"), "'constant'"),
    "gradient clip": (chain(gradient_clip="norm"), "'element'"),
    "clip limit 0": (
        chain(gradient_clip="element", clip_limit=0.0),
        "clip_limit > 0",
    ),
    "bounds reversed": (chain(bounds=(1.0, 0.0)), r"bounds \(low, high\)"),
    "three bounds": (chain(bounds=(0.0, 1.0, 2.0)), r"bounds \(low, high\)"),
    "boundary": (
        chain(bounds=(0.0, 1.0), boundary="wrap"),
        "'clamp' or 'reject', received 'wrap'",
    ),
    "adjusted without noise": (
        chain(metropolis_hastings=True, noise_std=0.0),
        "needs noise_std > 0",
    ),
    "adjusted and clamped": (
        chain(metropolis_hastings=True, bounds=(0.0, 1.0)),
        "boundary='reject'",
    ),
    "adjusted on the sphere": (
        lambda: ADJUSTED.run(
            tf.ones([1, 2]), tf.norm, (0, 0), project=Sphere().project
        ),
        "projection",
    ),
    "replay above 1": (sampler(replay_ratio=1.1), r"replay_ratio in \[0, 1\]"),
    "replay below 0": (sampler(replay_ratio=-0.1), r"replay_ratio in \[0, 1\]"),
    "no capacity": (
        lambda: PersistentContrastiveDivergence(
            visible_chain=SHORT, replay_capacity=0
        ),
        "replay_ratio=0 turns replay off",
    ),
    "generation factor 0": (
        sampler(generation_factor=0),
        "generation_factor >= 1",
    ),
    "empty buffer": (lambda: ReplayBuffer(0, [1]), "capacity > 0, received 0"),
    "negative buffer": (lambda: ReplayBuffer(-1, [1]), "capacity > 0"),
    # --- Models ---
    "distance": (autoencoder(distance="cosine"), "distance in .*'ssim'"),
    "reduction": (autoencoder(reduction="max"), "'mean' or 'sum'"),
    "latent space": (autoencoder(latent_space="sphere"), r"Euclidean\(\)"),
    "encoder_l2": (autoencoder(encoder_l2=-1.0), "encoder_l2 >= 0"),
    "ssim of vectors": (
        autoencoder(distance="ssim"),
        "use distance='squared_error'",
    ),
    "networks that do not fit": (
        lambda: Autoencoder(
            vector_networks(units=4)[0], vector_networks(units=5)[1]
        ),
        r"expected \[4\], received \[5\]",
    ),
    "temperature 0": (nae(temperature=0.0), "temperature > 0, received 0.0"),
    "temperature NaN": (nae(temperature=NAN), "temperature > 0"),
    "infinite temperature": (nae(temperature=INFINITY), "temperature > 0"),
    "temperature rate": (
        nae(temperature_learning_rate=-1.0),
        "temperature_learning_rate >= 0",
    ),
    "penalty": (
        nae(negative_energy_penalty=-1.0),
        "negative_energy_penalty >= 0",
    ),
    "latent_l2": (nae(latent_l2=-1.0), "latent_l2 >= 0"),
    "decoder_l2": (nae(decoder_l2=NAN), "decoder_l2 >= 0"),
    "sampler": (nae(sampler="on_manifold"), "sampler None or a sampler"),
    "DAE noise": (
        lambda: DAE(*vector_networks(), noise_std=-1.0),
        "noise_std >= 0",
    ),
    "no samples": (lambda: nae()().sample(0), "num_samples > 0, received 0"),
    "negative samples": (lambda: nae()().sample(-1), "num_samples > 0"),
    "samples before weights": (
        lambda: NAE(*vector_networks(built=False)).sample(3),
        "no weights yet; fit it first",
    ),
    "samples of contrastive divergence": (
        lambda: nae(
            sampler=ContrastiveDivergence(visible_chain=SHORT)
        )().sample(3),
        "starts its chains at data",
    ),
    "samples of an adjusted chain on the sphere": (
        lambda: nae(
            sampler=OnManifold(latent_chain=ADJUSTED, visible_chain=SHORT)
        )().sample(3),
        "projection",
    ),
    "groups": (lambda: Conv64Encoder(width=12), "groups or width"),
    "image size unknown": (
        lambda: UpsampledConv2DTranspose(2, 3).build((None, None, 4, 1)),
        r"static height and width.*keras\.Input",
    ),
    "ssim of a matrix": (
        lambda: structural_dissimilarity(tf.zeros([2, 5]), tf.zeros([2, 5])),
        "expected a tensor of shape",
    ),
    # --- Training and scoring ---
    "loss": (compiled(loss="mse"), "Remove the argument"),
    "metrics": (compiled(metrics=["mae"]), "Remove the argument"),
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
    "filtered until nothing is left": (
        fit(batches(X).filter(lambda x: False)),
        "no examples to fit",
    ),
    # --- Estimator ---
    "contamination": (
        estimator(contamination=0.6),
        r"contamination in \(0, 0.5\], received 0.6",
    ),
    "network name": (
        estimator(networks="VGG"),
        r"\['FCRes2', 'MLP'\] or a function.*'VGG'",
    ),
    "one latent": (estimator(latent_dim=1), "latent_dim >= 2, received 1"),
    "negative epochs": (estimator(epochs=-1), "epochs >= 0, received -1"),
    "estimator's batches": (estimator(batch_size=0), "batch_size >= 1"),
    "learning rate": (estimator(learning_rate=0.0), "learning_rate > 0"),
    # --- Metrics and calibration ---
    "no inliers": (lambda: auroc([], [1.0]), "inlier scores, received none"),
    "no outliers": (lambda: auroc([1.0], []), "outlier scores, received none"),
    "NaN inliers": (
        lambda: auroc([NAN, 1.0], [2.0]),
        "1 of 2 inlier scores are NaN; the model has diverged",
    ),
    "NaN outliers": (
        lambda: auroc([1.0], [2.0, NAN, NAN]),
        "2 of 3 outlier scores are NaN",
    ),
    **{
        f"rate {rate}": (
            lambda rate=rate: fpr_at_tpr(detection_curve([0.0], [1.0]), rate),
            r"tpr in \(0, 1\]",
        )
        for rate in (0.0, -0.1, 1.1, NAN)
    },
    "nothing to calibrate by": (lambda: Calibration([]), "at least one inlier"),
    "NaN to calibrate by": (lambda: Calibration([1.0, NAN]), "finite scores"),
    "a matrix to calibrate by": (
        lambda: Calibration([[1.0]]),
        r"shape \(1, 1\)",
    ),
    "false alarm rate": (
        lambda: Calibration([1.0], 0.0),
        r"false_alarm_rate in \(0, 1\), received 0.0",
    ),
    "failure probability": (
        lambda: Calibration([1.0], 0.1, 1.0),
        "failure_probability",
    ),
    "p-value of NaN": (lambda: Calibration([1.0]).p_values([NAN]), "NaN"),
    "scores for p-values": (
        lambda: benjamini_hochberg([0.5, 3.0], 0.1),
        "not the scores",
    ),
    **{
        f"calibration {text!r}": (
            lambda text=text: Calibration.from_json(text),
            "no calibration",
        )
        for text in NO_CALIBRATION
    },
    # --- Data ---
    "batch size": (training_batches(batch_size=0), "batch_size must be >= 1"),
    "start step": (
        training_batches(start_step=-1),
        "start_step must be >= 0, got -1",
    ),
    "flipped vectors": (training_batches(flip=True), "use flip=False"),
    "no example": (training_batches(count=0), "no example to train on"),
    "array of another shape": (
        lambda: ArrayExamples(
            "w", 5, (3,), None, lambda: np.zeros((5, 2))
        ).batches(1),
        r"w: expected .*\(5, 3\), received \(5, 2\)",
    ),
    "wide outliers": (task_of("outliers"), "size 2 has examples of shape"),
    "wide selection": (task_of("selection"), "size 2 has examples of shape"),
    "split of nothing": (
        lambda: data.split_indices(5, (2, 3), seed=0),
        "cannot split 5 examples",
    ),
    "digit 10": (lambda: digits_holdout(10), "0 ... 9, got 10"),
    "class 10": (lambda: datasets.mnist_holdout(10), "0 ... 9, got 10"),
    "class -1": (lambda: datasets.mnist_holdout(-1), "0 ... 9, got -1"),
    "class 'nine'": (
        lambda: datasets.mnist_holdout("nine"),
        "0 ... 9, got 'nine'",
    ),
    "classes of CelebA": (
        lambda: datasets.class_holdout("celeba", 0),
        "dataset must be one of .*'celeba'",
    ),
    "labels of CelebA": (
        lambda: image_sets.read_labels("celeba", "test"),
        "celeba has no classes",
    ),
    **{
        f"outliers {name!r}": (
            lambda name=name: datasets.outlier_examples(
                name, "test", (28, 28, 1)
            ),
            f"'{name}'.*chimera_mnist",
        )
        for name in ("minst", "padded", "_gray", "minst_padded")
    },
    **{
        f"selection by {name}": (
            lambda name=name: datasets.outlier_examples(
                name, "validation", (28, 28, 1)
            ),
            "has no split 'validation'",
        )
        for name in ("half_mnist", "chimera_mnist")
    },
    "data set": (
        lambda: image_sets.image_examples("mnsit", "test"),
        "unknown data set 'mnsit'; expected one of",
    ),
    "split of Omniglot": (
        lambda: image_sets.image_examples("omniglot", "train"),
        "omniglot has no split 'train'; it has",
    ),
    "split of MNIST": (
        lambda: image_sets.image_examples("mnist", "tset"),
        "mnist has no split 'tset'; it has",
    ),
    "flat images": (
        lambda: image_sets.image_examples("mnist", "test", (28, 28)),
        "image_shape must be",
    ),
    "images of two channels": (
        lambda: image_sets.image_examples("mnist", "test", (28, 28, 2)),
        "image_shape must be",
    ),
    "padding too small": (
        lambda: image_sets.pad_images(np.zeros([1, 33, 32, 3]), (32, 32, 3)),
        "cannot be padded",
    ),
    "chimeras of one class": (
        lambda: synthetic.chimera_images(
            np.random.default_rng(0), np.zeros([3, 4, 4, 1]), np.zeros(3), 2
        ),
        "at least two classes",
    ),
    # --- Configuration ---
    "argument": (binding("NAE.seeed = 1"), "Did you mean 'seed'"),
    "class": (binding("NEA.seed = 1"), "Did you mean 'NAE'"),
    "reference": (
        binding("NAE.sampler = @OnManifld()"),
        "Did you mean 'OnManifold'",
    ),
    "scoped argument": (
        binding("latent/LangevinChain.num_step = 1"),
        "Did you mean 'num_steps'",
    ),
    "syntax": (
        binding("NAE.seed = = 1"),
        "cannot read 'NAE.seed = = 1' in a binding",
    ),
    "gin file": (
        lambda: runtime.parse_config(["no.gin"]),
        r"no\.gin",
        FileNotFoundError,
    ),
    "incomplete experiment": (
        experiment("Experiment.seed = 1"),
        "not complete.*'task', 'model'",
    ),
    "phase's epochs": (phase(epochs=-1), "epochs >= 0"),
    "phase's batches": (phase(batch_size=0), "batch_size >= 1"),
    "phase's steps": (phase(steps_per_epoch=0), "steps_per_epoch >= 1"),
    "phase's patience": (phase(patience=0), "patience >= 1"),
    "phase's keep": (phase(keep="first"), "'best' or 'last'"),
    "no replicas": (lambda: make_strategy(0), "--num_replicas between 1 and"),
}

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

ONE_WORKER = {
    "cluster": {"worker": ["localhost:1"]},
    "task": {"type": "worker", "index": 0},
}
CLUSTERS = {
    "no JSON": ("{", "expected TF_CONFIG as .*received '{'"),
    "no task": (json.dumps({"cluster": {"worker": []}}), "expected TF_CONFIG"),
    "parameter server": (
        json.dumps(ONE_WORKER | {"task": {"type": "ps", "index": 0}}),
        "type 'ps'.*'chief' and 'worker'",
    ),
    "one worker too many": (
        json.dumps(ONE_WORKER | {"task": {"type": "worker", "index": 1}}),
        "index 1, but there are only 1",
    ),
}


def one_line(call, message, error=ValueError):
    """Assert that a call fails with one line that matches."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert re.search(message, text), text


@pytest.mark.parametrize("row", BAD.values(), ids=BAD)
def test_bad_input_ends_in_one_line(row):
    one_line(*row)


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("as_data", [np.asarray, batches])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict_outlier_score"])
@pytest.mark.parametrize(
    ("x", "message"), BAD_EXAMPLES.values(), ids=BAD_EXAMPLES
)
def test_bad_examples_end_in_one_line(x, message, method, as_data, run_eagerly):
    call = getattr(trainable_nae(run_eagerly), method)
    one_line(lambda: call(as_data(x)), message)


@pytest.mark.parametrize(("config", "message"), CLUSTERS.values(), ids=CLUSTERS)
def test_a_malformed_cluster_ends_in_one_line(config, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    one_line(make_strategy, message)


def test_replicas_are_not_chosen_for_several_machines(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(ONE_WORKER))
    one_line(lambda: make_strategy(2), "exclude each other")


def test_a_keras_that_has_changed_is_named(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(ONE_WORKER))
    name = "_maybe_symbolic_build"
    [owner] = [each for each in keras.Model.__mro__ if name in vars(each)]
    monkeypatch.delattr(owner, name)
    one_line(make_strategy, r"pip install 'keras==3\.15", ImportError)
