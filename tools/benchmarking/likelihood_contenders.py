"""Glow and PixelCNN++ of gin files, and their twins, for `benchmark.py`."""

import numpy as np

_METHODS = ("glow", "pixelcnn")
_GIN_FILES = ("gin/mnist.gin", "gin/budgets/cpu.gin")


def noise_images(batch_size: int, image_shape, num_levels: int) -> np.ndarray:
    """Return images of grey levels that are drawn at random."""
    levels = np.random.default_rng(0).integers(
        num_levels, size=(batch_size, *image_shape)
    )
    return (levels / (num_levels - 1)).astype(np.float32)


class OurLikelihood:
    """A method of likelihood by its gin file, on noise instead of its data."""

    def __init__(self, method, bindings, image_shape=(28, 28, 1)):
        """Build, start and compile it; its first step is not measured."""
        import keras
        import tensorflow as tf

        from nae_tf.runs.configuration import parse_config
        from nae_tf.training.experiment import Experiment
        from reproduction.cells import REPOSITORY

        if method not in _METHODS:
            raise ValueError(f"expected one of {_METHODS}, received {method}.")
        files = [*_GIN_FILES, f"gin/methods/{method}.gin"]
        no_data = "Experiment.task = @digits_holdout()"
        parse_config(
            [str(REPOSITORY / file) for file in files], [*bindings, no_data]
        )
        experiment = Experiment.from_config()
        keras.utils.set_random_seed(experiment.seed)
        self.method, self.model = method, experiment.model()
        self.model.compile(experiment.training.optimizer())
        self._images = noise_images(
            experiment.training.batch_size, image_shape, self.model.num_levels
        )
        self.model.build((None, *image_shape))
        self.model.initialize(self._images)
        self._batch = tf.constant(self._images)
        self._step = tf.function(self.model.train_step)

    def images(self):
        """Return the batch that it trains on."""
        return self._images

    def step(self, count: int = 1):
        """Train for some steps."""
        for _ in range(count):
            result = self._step((self._batch,))
        float(result["loss"])  # Waits for the last one.

    def score(self, images):
        """Score images as users do, in bits per dimension."""
        return self.model.predict_outlier_score(images)

    def bits(self, images):
        """Return bits per dimension, with noise of 1/2 where there is noise."""
        import tensorflow as tf

        if self.method == "pixelcnn":
            return self.score(images)
        levels = self.model.num_levels
        v = (np.floor(images * levels).clip(0, levels - 1) + 0.5) / levels - 0.5
        log_density = self.model.log_density(tf.constant(v, tf.float32))
        return np.log2(levels) - log_density.numpy() / (
            self.model.num_dimensions * np.log(2)
        )

    def twin(self) -> tuple:
        """Return weights and settings of the twin."""
        return {"glow": _glow_twin, "pixelcnn": _pixelcnn_twin}[self.method](
            self.model
        )


def _values(*variables):
    return [np.asarray(variable) for variable in variables]


def _glow_twin(model):
    (scale,) = model.scales
    weights = []
    for norm, mixing, coupling in zip(
        *(scale.parts[start::3] for start in range(3)), strict=True
    ):
        network = coupling.network
        last = network.last
        step: dict = {
            name: np.asarray(getattr(mixing, name))
            for name in (
                *("permutation", "signs", "log_diagonal"),
                *("lower", "upper"),
            )
        }
        step["norm"] = _values(norm.bias, norm.log_scale)
        step["norms"] = [_values(n.bias, n.log_scale) for n in network.norms]
        convolutions = [*network.hidden, last.convolution]
        step["kernels"] = [np.asarray(c.kernel) for c in convolutions]
        step["last_bias"], step["last_log_scale"] = _values(
            last.convolution.bias, last.log_scale
        )
        weights.append(step)
    return (weights, model.num_levels)


def _pixelcnn_twin(model):
    def layer(each):
        return _values(each.direction, each.gain, each.bias)

    def block(each):
        shortcut = layer(each.shortcut) if each.other_channels else None
        return layer(each.first), shortcut, layer(each.second)

    weights = {
        name: layer(getattr(model, name))
        for name in ("first_above", "first_row_above", "first_left", "last")
    }
    for side in ("above", "before"):
        for name, take in [
            ("halving", layer),
            ("doubling", layer),
            ("down", block),
            ("up", block),
        ]:
            name = f"{name}_{side}"
            weights[name] = [take(each) for each in getattr(model, name)]
    return weights, model.num_levels, model.num_blocks, model.dropout


class LikelihoodTwinContender:
    """The same method in PyTorch."""

    def __init__(self, method, twin, images):
        """Build it, with our weights."""
        import torch

        from benchmarking import likelihood_twins

        kinds = {
            "glow": likelihood_twins.GlowTwin,
            "pixelcnn": likelihood_twins.PixelCNNTwin,
        }
        self._model = kinds[method](*twin)
        self._optimizer = torch.optim.Adam(self._model.parameters(), 1e-3)
        self._batch = self._tensor(images)

    def _tensor(self, images):
        import torch

        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    def step(self, count: int = 1):
        """Train for some steps."""
        for _ in range(count):
            self._model.train_step(self._batch, self._optimizer)

    def score(self, images):
        """Score images in batches of 256, in bits per dimension."""
        return np.concatenate(
            [
                self._model.bits_per_dimension(self._tensor(batch)).numpy()
                for batch in np.split(images, range(256, len(images), 256))
            ]
        )

    bits = score
