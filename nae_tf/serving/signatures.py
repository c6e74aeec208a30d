"""The graphs of a served model: one per kind of request.

    score                 examples     -> energy, p_value, is_outlier, ...
    score_at              examples, false_alarm_rate -> as score
    reconstruct           examples     -> reconstruction, error_map
    encode                examples     -> latent
    sample                count, seed  -> samples
    score_encoded_image   image_bytes  -> as score

Every check of the input is part of the graph, because a server runs nothing
else. So is the limit to the cost of a request. A server may join the requests
of several clients: a bad example spoils its own row and no other.
"""

import tensorflow as tf

from nae_tf.base.detector import OutlierDetector
from nae_tf.base.input_checks import example_status
from nae_tf.base.setting_checks import check_instance
from nae_tf.base.ties import lowest_equal
from nae_tf.energy import error_map
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.encoded_images import decode_images_apart

MAX_SAMPLES = 256
_IS_UNDECODED, _IS_NO_RATE = 3, 4
RATES = tf.TensorSpec((None,), tf.float32, name="false_alarm_rate")


def make_signatures(
    model, calibration: Calibration, max_level: int | None = None
) -> dict:
    """Trace the graphs of a model for a server.

    Args:
        model: a built `OutlierDetector`. One with `encode` and `decode` gets
            `reconstruct` and `encode`, one with `generate` gets `sample`, one
            of images gets `score_encoded_image`.
        calibration: scores of held-out inliers under `model`; they become
            constants of the graphs.
        max_level: level of white in image files, as in the training data; None
            means 255 or 65,535, by the depth of each file.

    Returns:
        Concrete functions by signature name; "serving_default" is "score".

    Raises:
        ValueError: if the model has no weights yet.

    Example:
        >>> import keras
        >>> from nae_tf import Autoencoder, Calibration
        >>> from nae_tf.serving import make_signatures
        >>> model = Autoencoder(
        ...     keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
        ... )
        >>> signatures = make_signatures(model, Calibration([0.1, 0.2, 0.3]))
        >>> sorted(signatures)
        ['encode', 'reconstruct', 'score', 'score_at', 'serving_default']
    """
    check_instance("make_signatures", "model", model, OutlierDetector)
    check_instance("make_signatures", "calibration", calibration, Calibration)
    refuse_without_weights(model)
    dtype = model.variable_dtype
    examples = tf.TensorSpec(
        (None, *model.example_shape), dtype, name="examples"
    )

    def score(examples):
        return score_outputs(model, calibration, _fed(model, examples))

    def score_at(examples, false_alarm_rate):
        return score_outputs(
            model,
            calibration,
            _fed(model, examples),
            false_alarm_rate=false_alarm_rate,
        )

    signatures = {
        "score": trace(score, examples),
        "score_at": trace(score_at, examples, RATES),
    }
    if can_reconstruct(model):

        def reconstruct(examples):
            return reconstruct_outputs(model, _fed(model, examples))

        def encode(examples):
            x, status = _repaired(model, _fed(model, examples))
            return {"latent": _or_nan(status, model.encode(x))}

        signatures["reconstruct"] = trace(reconstruct, examples)
        signatures["encode"] = trace(encode, examples)
    if can_sample(model):

        def sample(count, seed):
            with tf.control_dependencies([_count_check(count)]):
                return {"samples": model.generate(tf.identity(count), seed).x}

        signatures["sample"] = trace(
            sample,
            tf.TensorSpec((), tf.int32, name="count"),
            tf.TensorSpec((), tf.int32, name="seed"),
        )
    if takes_images(model):

        def score_encoded_image(image_bytes):
            images, is_image = decode_images_apart(
                image_bytes, model.example_shape, max_level
            )
            x = model.shaped_examples(tf.cast(images, dtype))
            return score_outputs(model, calibration, x, ~is_image)

        signatures["score_encoded_image"] = trace(
            score_encoded_image,
            tf.TensorSpec((None,), tf.string, name="image_bytes"),
        )
    return {"serving_default": signatures["score"]} | signatures


def can_reconstruct(model) -> bool:
    """Return whether a model has an encoder and a decoder."""
    return hasattr(model, "encode") and hasattr(model, "decode")


def refuse_without_weights(model):
    """Refuse a model that nothing can be traced of.

    Raises:
        ValueError: if the model has no weights yet.
    """
    if not model.built:
        raise ValueError(
            f"{type(model).__name__}: the model has no weights to export yet; "
            "fit it first, or give it networks of known input shape."
        )


def can_sample(model) -> bool:
    """Return whether a model generates samples without being given data."""
    sampler = getattr(model, "sampler", None)
    return hasattr(model, "generate") and getattr(sampler, "generates", True)


def takes_images(model) -> bool:
    """Return whether examples are images that a PNG or JPEG file can hold."""
    shape = model.example_shape
    return (
        len(shape) == 3
        and shape[-1] in (1, 3)
        and model.value_range in (None, (0.0, 1.0))
    )


def score_outputs(
    model,
    calibration: Calibration,
    x,
    is_undecoded=False,
    false_alarm_rate=None,
) -> dict:
    """Score examples and compare them with the calibration scores.

    Args:
        model: an `OutlierDetector`.
        calibration: scores of held-out inliers under `model`.
        x: float [batch, ...], examples of the model's shape.
        is_undecoded: bool [batch], which examples stand for files that could
            not be decoded.
        false_alarm_rate: float [batch], as `decisions` takes it.

    Returns:
        energy: float [batch], the outlier score; infinite where it overflows,
            NaN for bad examples.
        p_value: float [batch], `Calibration.p_values`; NaN for bad examples.
        conditional_p_value: float [batch], `Calibration.conditional_p_values`;
            NaN for bad examples.
        is_outlier: bool [batch], whether the energy exceeds the threshold; true
            for bad examples.
        status: int32 [batch], 0 for a scored example; `example_status` says
            what is wrong with others, 3 that a file was not decoded, and 4 that
            the rate is not in (0, 1).
    """
    x, status = _repaired(model, x)
    status = tf.where(is_undecoded, _IS_UNDECODED, status)
    energy = model.outlier_score(x)
    # NaN is not greater than any threshold, but it comes from values near the
    # largest float, and these are outliers.
    infinity = tf.constant(float("inf"), energy.dtype)
    energy = tf.where(tf.math.is_nan(energy), infinity, energy)
    return decisions(calibration, energy, status, false_alarm_rate)


def reconstruct_outputs(model, x) -> dict:
    """Reconstruct examples.

    Args:
        model: an `OutlierDetector` with `encode` and `decode`.
        x: float [batch, ...], examples of the model's shape.

    Returns:
        reconstruction: float, shape of `x`; NaN for bad examples.
        error_map: float [batch, height, width], or the shape of `x`, in the
            units of the energy, which is its mean; NaN for bad examples.
    """
    x, status = _repaired(model, x)
    reconstruction = model.decode(model.encode(x))
    outputs = {
        "reconstruction": model.unstandardized(reconstruction),
        "error_map": error_map(x, reconstruction),
    }
    return {name: _or_nan(status, y) for name, y in outputs.items()}


def decisions(
    calibration: Calibration, energy, status, false_alarm_rate=None
) -> dict:
    """Compare energies with the calibration scores.

    The comparisons are counted one by one: no converter knows the operation of
    `tf.searchsorted`.

    Args:
        calibration: scores of held-out inliers.
        energy: float [batch].
        status: int32 [batch], 0 for a good example.
        false_alarm_rate: float [batch], share of inliers that may be called
            outliers, in (0, 1), for each example; None for the calibration's.

    Returns:
        The outputs of `score_outputs`.
    """
    low = lowest_equal(energy, tf.minimum)
    table = tf.constant(calibration.scores, energy.dtype)
    levels = tf.constant(calibration.levels, energy.dtype)
    as_high = tf.cast(table[None] >= low[:, None], tf.int32)
    num_as_high = tf.reduce_sum(as_high, axis=1)
    count = len(calibration.scores)
    p_value = tf.cast(1 + num_as_high, energy.dtype) / (count + 1)
    if false_alarm_rate is None:
        is_outlier = low > tf.cast(calibration.threshold, energy.dtype)
    else:
        rate = tf.cast(false_alarm_rate, tf.float32)
        is_rate = (rate > 0) & (rate < 1)
        status = tf.where((status == 0) & ~is_rate, _IS_NO_RATE, status)
        # p <= rate. Rates such as 0.05 are rounded to single precision.
        highest = rate * (count + 1) * (1 + 1e-6)
        is_outlier = tf.cast(1 + num_as_high, tf.float32) <= highest
    return {
        "energy": _or_nan(status, energy),
        "p_value": _or_nan(status, p_value),
        "conditional_p_value": _or_nan(status, tf.gather(levels, num_as_high)),
        "is_outlier": is_outlier | (status > 0),
        "status": status,
    }


def _repaired(model, x):
    """Replace bad examples by valid values, which the networks can take.

    Returns:
        x: float, shape of `x`, in the units of the networks.
        status: int32 [batch], `example_status` of the given ones.
    """
    status = example_status(x, model.value_range)
    low, high = model.value_range or (0.0, 0.0)
    valid = _where_good(status, x, min(max(0.0, low), high))
    return model.standardized(valid), status


def _or_nan(status, values):
    """Return values with NaN in the rows of bad examples."""
    return _where_good(status, values, float("nan"))


def _where_good(status, x, otherwise: float):
    """Fill the rows of bad examples.

    Args:
        status: int32 [batch], 0 for a good example.
        x: float [batch, ...].
        otherwise: value of the other rows.
    """
    good = tf.reshape(tf.equal(status, 0), [-1] + [1] * (x.shape.rank - 1))
    return tf.where(good, x, tf.constant(otherwise, x.dtype))


def trace(function, *specs):
    """Trace a function of tensors into a graph.

    Args:
        function: function of tensors that returns tensors by name.
        *specs: a `tf.TensorSpec` with a name for every argument.
    """
    traced = tf.function(function, input_signature=specs, autograph=False)
    return traced.get_concrete_function()


def _fed(model, examples):
    # A server feeds any shape, whatever the signature says. The placeholder
    # hides the static shape, so that the model checks the shape in the graph.
    fed = tf.raw_ops.PlaceholderWithDefault(
        input=examples, shape=tf.TensorShape(None)
    )
    return model.shaped_examples(fed)


def _count_check(count):
    return tf.debugging.Assert(
        (count >= 1) & (count <= MAX_SAMPLES),
        [
            f"Bad input: expected a count in 1 ... {MAX_SAMPLES}, received",
            count,
        ],
    )
