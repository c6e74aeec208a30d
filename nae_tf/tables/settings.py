"""Settings of `NAEDetector`: their defaults, and what goes together."""

from nae_tf.base.setting_checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
)
from nae_tf.base.step_budget import RECIPE, limited_steps

# For the ensemble, and for networks.
DEFAULTS: dict[str, tuple] = {
    "pretraining_steps": (300, 1_000),
    "steps": (200, 200),
    "batch_size": (64, 128),
    "pretraining_learning_rate": (2e-3, 1e-3),
    "learning_rate": (2e-3, 1e-4),
}
# Beyond this a model's own examples are worth ever less than those left out.
_MAX_PASSES = 15
# The recipe of `NAE`, but for fewer steps.
IMAGE_DEFAULTS = {
    "pretraining_steps": RECIPE.pretraining.steps,
    "steps": 200,
    "batch_size": RECIPE.batch_size,
    "pretraining_learning_rate": RECIPE.pretraining.learning_rate,
    "learning_rate": RECIPE.training.learning_rate,
}


def setting_or_default(detector, name: str, has_images: bool):
    """Return a setting of a detector, or the default that None stands for.

    Args:
        detector: `NAEDetector`.
        name: name of a setting in `DEFAULTS`.
        has_images: whether the detector is fitted to images.
    """
    value = getattr(detector, name)
    if value is not None:
        return value
    if has_images:
        return IMAGE_DEFAULTS[name]
    return DEFAULTS[name][detector.networks is not None]


def nae_steps(detector, has_images: bool, size: int, batch_size: int) -> int:
    """Return the steps of NAE that a detector is trained for.

    Args:
        detector: `NAEDetector`.
        has_images: whether the detector is fitted to images.
        size: number of examples, > 0.
        batch_size: examples per step, of each member of an ensemble, > 0.

    Returns:
        The setting; where it is None, its default, but for the ensemble and for
        images at most as many as pass 15 times over the examples.

    Example:
        >>> from nae_tf import NAEDetector
        >>> from nae_tf.tables.settings import nae_steps
        >>> [nae_steps(NAEDetector(), False, n, 64) for n in (100, 2_000)]
        [24, 200]
    """
    steps = setting_or_default(detector, "steps", has_images)
    of_networks = detector.networks is not None and not has_images
    if detector.steps is not None or of_networks:
        return steps
    return limited_steps(steps, _MAX_PASSES, size / batch_size)


def check_settings(detector, for_images: bool, networks):
    """Refuse settings out of range, or that do not go together.

    Args:
        detector: `NAEDetector`.
        for_images: whether it is about to be fitted to images.
        networks: names that the setting `networks` may have.

    Raises:
        ValueError: in one line that says what was expected.
    """
    if for_images:
        _check_image_settings(detector)
    share = detector.contamination
    check_number("NAEDetector", "contamination", share, "(0, 0.5]")
    # In a list, because a dictionary cannot look up values without a hash.
    if not callable(detector.networks) and detector.networks not in [
        None,
        *networks,
    ]:
        raise ValueError(
            f"NAEDetector: expected networks None, in {sorted(networks)} "
            f"or a function, received {detector.networks!r}."
        )
    if detector.networks is None and not for_images:
        for name in ("latent_dim", "latent_space", "sampler"):
            if getattr(detector, name) is not None:
                raise ValueError(
                    f"NAEDetector: {name} is a setting of networks; set "
                    'networks too, for example networks="FCRes2".'
                )
        if detector.validation_fraction is not None:
            raise ValueError(
                "NAEDetector: validation_fraction is for networks and images; "
                "each autoencoder of the ensemble leaves out a quarter of the "
                "rows anyway; leave it at None."
            )
    elif detector.warm_start:
        raise ValueError(
            "NAEDetector: warm_start=True needs networks=None, because "
            "networks are made anew in every fit."
        )
    for name, smallest in [
        ("pretraining_steps", 0),
        ("steps", 0),
        ("batch_size", 1),
        ("latent_dim", 2),
    ]:
        if getattr(detector, name) is not None:
            value = getattr(detector, name)
            check_integer("NAEDetector", name, value, smallest)
    for name, interval in [
        ("pretraining_learning_rate", "(0, inf)"),
        ("learning_rate", "(0, inf)"),
        ("validation_fraction", "(0, 1)"),
    ]:
        if getattr(detector, name) is not None:
            check_number("NAEDetector", name, getattr(detector, name), interval)
    check_choice(
        "NAEDetector",
        "missing_values",
        detector.missing_values,
        ["error", "mask"],
    )
    check_flag("NAEDetector", "warm_start", detector.warm_start)
    # True and False are levels too.
    verbose = detector.verbose
    if isinstance(verbose, bool):
        verbose = int(verbose)
    check_integer("NAEDetector", "verbose", verbose, 0)


def _check_image_settings(detector):
    if isinstance(detector.networks, str):
        raise ValueError(
            f"NAEDetector: networks={detector.networks!r} are for tables; for "
            "images expected None or a function (image_shape, latent_dim) "
            "-> (encoder, decoder)."
        )
    if detector.missing_values == "mask" or detector.warm_start:
        raise ValueError(
            'NAEDetector: missing_values="mask" and warm_start=True are '
            "for tables; leave them out for images."
        )
