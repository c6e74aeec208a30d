"""Networks of the user's own that turn images into features."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable

import gin
import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.setting_checks import check_integer
from nae_tf.base.untrusted import load_saved_model
from nae_tf.data.image_arrays import ImageShape


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """A network from images to vectors, which is never trained here.

    Attributes:
        title: path or name, for messages and notes.
        forward: function of float32 [batch, height, width, channels] that
            returns [batch, num_features].
        image_shape: (height, width, channels) that it takes; None where any
            size will do.
        num_features: number of features.
        digest: SHA-256 of its files or weights, hexadecimal.
    """

    title: str
    forward: Callable
    image_shape: tuple[int | None, int | None, int]
    num_features: int
    digest: str

    @classmethod
    def of(cls, network, trust_network: bool = False) -> "FeatureNetwork":
        """Read a network.

        Args:
            network: path of a `.keras` file, or of a SavedModel whose signature
                "serving_default" has one input and one output; or a built
                `keras.Model`.
            trust_network: whether a SavedModel may have operations that no
                export needs, which can read and write files.

        Raises:
            FileNotFoundError: if there is no such path.
            ValueError: if it does not turn images into vectors, or is a
                SavedModel that is not trusted and reaches out of its graphs.

        Example:
            >>> import keras
            >>> from nae_tf.data.feature_networks import FeatureNetwork
            >>> layers = keras.layers
            >>> network = keras.Sequential(
            ...     [
            ...         keras.Input((8, 8, 1)),
            ...         layers.Conv2D(4, 3),
            ...         layers.GlobalAveragePooling2D(),
            ...     ]
            ... )
            >>> FeatureNetwork.of(network).num_features
            4
        """
        if isinstance(network, keras.Model):
            return _of_model(network, network.name, _digest_of_model(network))
        path = pathlib.Path(network)
        if not path.exists():
            raise FileNotFoundError(
                f"there is no network {str(path)!r}; give the path of a .keras "
                "file or of a SavedModel's folder."
            )
        return _read(path, _digest_of_files(path), trust_network)


@gin.register(module="nae_tf")
def feature_count(network, trust_network: bool = False) -> int:
    """Return the number of features that a network makes of an image.

    Args:
        network: as `image_features` takes it.
        trust_network: as `image_features` takes it.

    Raises:
        FileNotFoundError: if there is no such path.
        ValueError: if it does not turn images into vectors.
    """
    return FeatureNetwork.of(network, trust_network).num_features


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFeatures:
    """How the features of a task are made of images: sizes, levels, network.

    Attributes:
        network: network that makes them.
        image_shape: (height, width, channels) that images are resized to.
        pixel_range: values of black and of white that the network takes.
        num_levels: number of values that a pixel of the images can take.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf.data.feature_networks import (
        ...     FeatureNetwork,
        ...     ImageFeatures,
        ... )
        >>> mean = keras.Sequential(
        ...     [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()]
        ... )
        >>> features = ImageFeatures(
        ...     FeatureNetwork.of(mean), (8, 8, 1), (-1.0, 1.0)
        ... )
        >>> features(np.full((2, 8, 8, 1), 0.75, np.float32)).numpy().tolist()
        [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    """

    network: FeatureNetwork
    image_shape: ImageShape
    pixel_range: tuple[float, float]
    num_levels: int | None = 256

    def __call__(self, images):
        """Make features of images.

        Args:
            images: float [batch, *image_shape] in [0, 1]. Grey ones become
                three equal channels for a network of colours.

        Returns:
            float32 [batch, num_features].
        """
        low, high = self.pixel_range
        images = low + (high - low) * tf.cast(images, tf.float32)
        channels = self.network.image_shape[-1]
        if self.image_shape[-1] != channels:
            images = tf.repeat(images, channels, axis=-1)
        features = self.network.forward(images)
        return tf.ensure_shape(
            tf.cast(features, tf.float32), (None, self.network.num_features)
        )

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of everything that features depend on but images."""
        what = (self.network.digest, self.image_shape, self.pixel_range)
        return hashlib.sha256(repr(what).encode()).hexdigest()


@functools.lru_cache(maxsize=2)
def _read(path: pathlib.Path, digest: str, trusted: bool) -> FeatureNetwork:
    if (path / "saved_model.pb").exists():
        return _of_saved_model(path, digest, trusted)
    if path.suffix not in (".keras", ".h5"):
        raise ValueError(
            f"{path} is no network; expected a .keras file, or a folder with "
            "saved_model.pb."
        )
    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, TypeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: {reason}"
        ) from error
    return _of_model(model, str(path), digest)


def _of_model(model, title, digest):
    # A Sequential model without an input has no such attributes.
    ends = [getattr(model, name, None) or [] for name in ("inputs", "outputs")]
    if any(len(end) != 1 for end in ends):
        raise ValueError(
            f"{title}: expected a functional or Sequential Keras model of one "
            "input and one output; wrap it in one with keras.Input."
        )
    shape = _image_shape(title, ends[0][0].shape)
    count = _num_features(title, ends[1][0].shape)
    return FeatureNetwork(
        title, functools.partial(model, training=False), shape, count, digest
    )


def _of_saved_model(path, digest, trusted):
    loaded = load_saved_model(path, trusted, "trust_network=True")
    function = loaded.signatures.get("serving_default")
    inputs = function and function.structured_input_signature[1]
    if not inputs or len(inputs) != 1 or len(function.structured_outputs) != 1:
        raise ValueError(
            f"{path}: expected a SavedModel whose signature 'serving_default' "
            "has one input and one output; export one from "
            "images to features."
        )
    [(input_name, spec)] = inputs.items()
    [(output_name, output)] = function.structured_outputs.items()
    if spec.dtype != tf.float32:
        raise ValueError(
            f"{path}: expected an input of float32, received {spec.dtype.name};"
            " export the network with a cast of its own behind a float32 input."
        )

    def forward(images):
        # `loaded` holds the variables, which a function alone does not.
        return loaded.signatures["serving_default"](**{input_name: images})[
            output_name
        ]

    return FeatureNetwork(
        str(path),
        forward,
        _image_shape(str(path), spec.shape),
        _num_features(str(path), output.shape),
        digest,
    )


def _image_shape(title, shape):
    shape = tuple(shape)
    if len(shape) != 4 or shape[0] is not None or shape[-1] not in (1, 3):
        raise ValueError(
            f"{title}: expected a network of images [None, height, width, 1 or "
            f"3], received one of {list(shape)}."
        )
    return shape[1:]


def _num_features(title, shape):
    shape = tuple(shape)
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"{title}: expected a network whose output is [None, features], "
            f"received {list(shape)}; add keras.layers.GlobalAveragePooling2D, "
            "or Flatten."
        )
    check_integer(title, "the number of features", shape[1], 1)
    return shape[1]


def _digest_of_files(path):
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    for file in files:
        if file.is_file():
            name = file.relative_to(path) if file != path else ""
            digest.update(f"{name}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _digest_of_model(model):
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
