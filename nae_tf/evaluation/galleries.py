"""The examples that a report shows, as pictures inside the page."""

import base64
import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from nae_tf.energy import error_map
from nae_tf.evaluation.results import MethodEvaluation
from nae_tf.evaluation.shown_examples import ShownExamples

# Colours of error maps, sRGB, from zero to the largest error. Lightness grows
# evenly, so that the order is visible in grey and to the colour-blind.
_RAMP = np.array(
    [
        [12, 10, 30],
        [80, 18, 96],
        [166, 44, 92],
        [229, 92, 48],
        [251, 164, 40],
        [252, 253, 200],
    ]
)

_MEANINGS = {
    ("inliers", "lowest"): "Best: the most typical inliers.",
    ("inliers", "highest"): "Worst: the first to raise a false alarm.",
    ("outliers", "lowest"): "Worst: the first to be missed.",
    ("outliers", "highest"): "Best: the most certain detections.",
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image of the page: data URL, description, size in pixels."""

    url: str
    text: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Example:
    """An example of the page.

    Attributes:
        path: path in the results to its position and score.
        pictures: input, reconstruction and error map; empty if the example is
            not an image.
        origin: where the user finds the example; "" where it has no file.
        features: names of the features with the largest shares of the error.
    """

    path: Sequence
    pictures: Sequence[Picture]
    origin: str
    features: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Group:
    """Examples at one end of the scores of a set, the most extreme first."""

    title: str
    meaning: str
    examples: Sequence[Example]


@dataclasses.dataclass(frozen=True)
class Gallery:
    """All examples of one method on the page."""

    method: str
    has_pictures: bool
    has_reconstructions: bool
    groups: Sequence[Group]

    @property
    def has_origins(self) -> bool:
        """Whether some example has a file."""
        return any(x.origin for group in self.groups for x in group.examples)

    @property
    def has_features(self) -> bool:
        """Whether examples are shown by their features."""
        return any(x.features for group in self.groups for x in group.examples)


def gallery(
    method: str, evaluation: MethodEvaluation, inlier_name: str
) -> Gallery:
    """Collect the examples at both ends of every set's scores.

    Args:
        method: name of the method.
        evaluation: evaluation of the method.
        inlier_name: name of the inliers on the page.
    """
    sets = [
        ("inliers", ["inliers"], inlier_name, evaluation.inliers),
        *(
            ("outliers", ["outliers", title], title, outliers)
            for title, outliers in evaluation.outliers.items()
        ),
    ]
    ends = [
        (kind, [*path, end], name, end, getattr(scores, end))
        for kind, path, name, scores in sets
        for end in ("lowest", "highest")
    ]
    errors = [_error_maps(shown) for *_, shown in ends]
    # One scale for all maps of the method, so that they can be compared.
    limit = max((maps.max() for maps in errors if maps is not None), default=0)
    return Gallery(
        method,
        ends[0][-1].examples.ndim == 4,
        errors[0] is not None,
        [
            Group(
                f"{name}, {end} scores",
                _MEANINGS[kind, end],
                [
                    Example(
                        ["methods", method, *path, row],
                        _pictures(name, shown, maps, limit, row),
                        shown.origins[row] if shown.origins else "",
                        [x.name for x in shown.features[row]]
                        if shown.features
                        else [],
                    )
                    for row in range(len(shown.indices))
                ],
            )
            for (kind, path, name, end, shown), maps in zip(
                ends, errors, strict=True
            )
        ],
    )


def error_ramp() -> Picture:
    """Return the colours of error maps as a picture, none on the left."""
    strip = np.linspace(0, 1, 64)[None]
    return _picture(_coloured(strip), "none, dark, to the largest, bright")


def _error_maps(shown: ShownExamples):
    """Return squared errors of pixels, [shown, height, width], or None."""
    if shown.reconstructions is None or shown.examples.ndim != 4:
        return None
    return error_map(
        tf.constant(shown.examples), tf.constant(shown.reconstructions)
    ).numpy()


def _pictures(name, shown: ShownExamples, errors, limit, row):
    if shown.examples.ndim != 4:
        return []
    example = f"{name}, no. {shown.indices[row]}"
    pictures = [_picture(_grey_levels(shown.examples[row]), example)]
    if errors is not None and shown.reconstructions is not None:
        pictures += [
            _picture(
                _grey_levels(shown.reconstructions[row]),
                f"reconstruction of {example}",
            ),
            _picture(
                _coloured(errors[row] / max(limit, 1e-12)),
                f"squared error of {example}",
            ),
        ]
    return pictures


def _grey_levels(image: np.ndarray) -> np.ndarray:
    """Bring an image in [0, 1] to 8 bits, its channels to one or three."""
    if image.shape[-1] not in (1, 3):
        image = image.mean(axis=-1, keepdims=True)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _coloured(values: np.ndarray) -> np.ndarray:
    """Colour values in [0, 1], uint8 [height, width, 3]."""
    stops = np.linspace(0, 1, len(_RAMP))
    channels = [np.interp(values, stops, channel) for channel in _RAMP.T]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


def _picture(image: np.ndarray, text: str) -> Picture:
    png = tf.io.encode_png(image).numpy()
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    return Picture(url, text, image.shape[1], image.shape[0])
