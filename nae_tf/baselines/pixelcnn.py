"""PixelCNN++, an autoregressive model of images (Salimans et al., 2017).

    p(x) = prod_ij p(x_ij | the pixels above, and those to the left)
    loss = mean -log p(x),   score = -log2 p(x) / D

The distribution of a pixel is a discretised mixture of logistics
(`logistic_mixture`), whose parameters come from a network of shifted
convolutions (`causal_layers`). The score is known to fail: simple outliers are
more likely than the data. The paper compares with it for that reason (section
6.3).

References:
    Salimans, Karpathy, Chen & Kingma, PixelCNN++: Improving the PixelCNN with
        Discretized Logistic Mixture Likelihood and Other Modifications, 2017.
        https://arxiv.org/abs/1701.05517
    Salimans & Kingma, Weight Normalization, 2016.
        https://arxiv.org/abs/1602.07868
"""

import itertools

import gin
import keras
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.generation import generation_seed
from nae_tf.base.replicas import call_network
from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.baselines.causal_layers import (
    ABOVE,
    BEFORE,
    CausalConv2D,
    CausalConv2DTranspose,
    GatedBlock,
    shift_down,
    shift_right,
)
from nae_tf.baselines.likelihood_model import (
    GeneratedSample,
    LikelihoodModel,
    grey_levels,
)
from nae_tf.baselines.logistic_mixture import (
    mixture_log_probability,
    mixture_of_outputs,
    num_parameters,
    sample_mixture,
)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class PixelCNN(LikelihoodModel):
    """PixelCNN++, scored by its likelihood of the grey levels of an image.

    It builds its layers for the shape of the examples, and takes no encoder and
    no decoder. `fit` first sets the start values of the layers by some of the
    data (`initialize`). Called, the model returns log p(x).

    `sample` computes the network once per pixel.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import PixelCNN
        >>> x = np.random.default_rng(0).integers(0, 4, (32, 4, 4, 1)) / 3
        >>> model = PixelCNN(
        ...     num_blocks=1,
        ...     num_channels=4,
        ...     num_components=2,
        ...     num_scales=1,
        ...     num_levels=4,
        ... )
        >>> model.compile("adam")
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> "bits_per_dimension" in history.history
        True
        >>> model.predict_outlier_score(x).shape
        (32,)
    """

    def __init__(
        self,
        num_blocks: int = 5,
        num_channels: int = 80,
        num_components: int = 10,
        num_scales: int = 3,
        dropout: float = 0.5,
        num_levels: int = 256,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Describe a network.

        Args:
            num_blocks: number of gated blocks per scale on the way down, > 0,
                and once more on the way up (appendix D.4: 5).
            num_channels: number of channels, > 0 (appendix D.4: 80).
            num_components: number of logistics of a pixel's mixture, > 0; the
                paper has 10.
            num_scales: number of scales, > 0; the paper has 3. Each but the
                first halves the sides of the image.
            dropout: rate of the dropout in training, in [0, 1); the paper has
                .5.
            num_levels: number of grey levels of an image, 2 to 256.
            seed: seed of the dropout, int.
            name: name of the model.
            dtype: dtype policy; layers compute in the type of its variables.

        Raises:
            ValueError: if a setting is out of range.
        """
        for key, value in {
            "num_blocks": num_blocks,
            "num_channels": num_channels,
            "num_components": num_components,
            "num_scales": num_scales,
        }.items():
            check_integer("PixelCNN", key, value, 1)
        check_number("PixelCNN", "dropout", dropout, "[0, 1)")
        # It has no density for data without grey levels.
        check_integer("PixelCNN", "num_levels", num_levels, 2)
        super().__init__(num_levels, name=name, dtype=dtype)
        self.num_levels: int = num_levels
        self.num_blocks = num_blocks
        self.num_channels = num_channels
        self.num_components = num_components
        self.num_scales = num_scales
        self.dropout = dropout
        self.seed = seed

    def build(self, input_shape):
        """Build the layers for examples of shape `input_shape[1:]`.

        Raises:
            ValueError: if the shape is no image's of 1 or 3 channels that can
                be halved `num_scales - 1` times.
        """
        self.example_shape = tuple(input_shape[1:])
        self._check_shape()
        channels, width = self.example_shape[-1], self.num_channels
        dtype = self.variable_dtype

        def layer(kind, kernel_size, inputs=width, filters=width, **settings):
            made = kind(filters, kernel_size, dtype=dtype, **settings)
            made.build((None, None, None, inputs))
            return made

        def blocks(kernel_size, others, number):
            made = [
                GatedBlock(kernel_size, width, others, self.dropout, dtype)
                for _ in range(number)
            ]
            for block in made:
                block.build((None, None, None, width))
            return made

        first = {"inputs": channels + 1}
        self.first_above = layer(CausalConv2D, ABOVE, **first)
        self.first_row_above = layer(CausalConv2D, (1, 3), **first)
        self.first_left = layer(CausalConv2D, (2, 1), **first)
        scales = self.num_scales
        count = scales * self.num_blocks
        self.halving_above, self.halving_before = (
            [layer(CausalConv2D, size, strides=2) for _ in range(scales - 1)]
            for size in (ABOVE, BEFORE)
        )
        self.doubling_above, self.doubling_before = (
            [layer(CausalConv2DTranspose, size) for _ in range(scales - 1)]
            for size in (ABOVE, BEFORE)
        )
        self.down_above = blocks(ABOVE, 0, count)
        self.down_before = blocks(BEFORE, width, count)
        # One block more per scale but the first of the way up, which takes the
        # output of a halving or of the first layer.
        self.up_above = blocks(ABOVE, width, count + scales - 1)
        self.up_before = blocks(BEFORE, 2 * width, count + scales - 1)
        self.last = layer(
            CausalConv2D,
            (1, 1),
            filters=num_parameters(channels, self.num_components),
        )
        self.build_start_flag()
        self.built = True

    def _check_shape(self):
        shape, side = self.example_shape, 2 ** (self.num_scales - 1)
        if (
            len(shape) != 3
            or shape[-1] not in (1, 3)
            or shape[0] % side
            or shape[1] % side
        ):
            raise ValueError(
                "PixelCNN: expected images [height, width, 1 or 3] whose sides "
                f"can be divided by 2**(num_scales - 1) = {side}, received "
                f"examples of shape {list(shape)}; resize or pad them, or "
                "change num_scales."
            )

    def set_start_values(self, x):
        """Standardise what every layer makes of examples (section 2.5).

        Args:
            x: float [batch, height, width, channels].
        """
        self.outputs(self._centred(x), initialize=True)

    def _centred(self, x):
        """Return the grey levels of images as numbers in [-1, 1]."""
        levels = grey_levels(x, self.num_levels)
        return 2 * levels / (self.num_levels - 1) - 1

    def outputs(self, x, seed=None, initialize=False):
        """Compute the parameters of the distributions of all pixels.

        Args:
            x: float [batch, height, width, channels], in [-1, 1].
            seed: stateless seed of the dropout, int [2]; None for none.
            initialize: whether the layers set their start values.

        Returns:
            float [batch, height, width, `num_parameters`]. Those of a pixel
            depend on the pixels above it, and on those to its left.
        """
        start = {"initialize": initialize}
        numbers = itertools.count()

        def settings():
            """Settings of the next block."""
            if seed is None:
                return start
            return start | {"seed": randomness.fold_in(seed, next(numbers))}

        # A channel of ones shows the layers where the image ends.
        x = tf.concat([x, tf.ones_like(x[..., :1])], axis=-1)
        above = [shift_down(self.first_above(x, **start))]
        before = [
            shift_down(self.first_row_above(x, **start))
            + shift_right(self.first_left(x, **start))
        ]
        down = zip(self.down_above, self.down_before, strict=True)
        for scale in range(self.num_scales):
            if scale:
                halving_above = self.halving_above[scale - 1]
                halving_before = self.halving_before[scale - 1]
                above.append(halving_above(above[-1], **start))
                before.append(halving_before(before[-1], **start))
            for _ in range(self.num_blocks):
                block_above, block_before = next(down)
                above.append(block_above(above[-1], **settings()))
                before.append(block_before(before[-1], above[-1], **settings()))
        u, v = above.pop(), before.pop()
        up = zip(self.up_above, self.up_before, strict=True)
        for scale in range(self.num_scales):
            if scale:
                u = self.doubling_above[scale - 1](u, **start)
                v = self.doubling_before[scale - 1](v, **start)
            for _ in range(self.num_blocks + (scale > 0)):
                block_above, block_before = next(up)
                u = block_above(u, above.pop(), **settings())
                others = tf.concat([u, before.pop()], axis=-1)
                v = block_before(v, others, **settings())
        return self.last(tf.nn.elu(v), **start)

    def _log_likelihood(self, x, seed=None):
        x = self._centred(tf.cast(x, self.variable_dtype))

        def log_probability(x, training):
            del training
            mixture = mixture_of_outputs(
                self.outputs(x, seed), x.shape[-1], self.num_components
            )
            of_pixels = mixture_log_probability(mixture, x, self.num_levels)
            return tf.reduce_sum(of_pixels, axis=[1, 2])

        return call_network(log_probability, x)

    def log_likelihood(self, x):
        """Compute log p(x), the probability of the grey levels of an image.

        Args:
            x: float [batch, height, width, channels].

        Returns:
            float [batch], in nats.
        """
        return self._log_likelihood(x)

    def objective(self, x, training: bool = False) -> dict:
        """Compute the negative log likelihood, in training with dropout."""
        seed = self.noise_seed(training) if training else None
        log_likelihood = self._log_likelihood(x, seed)
        return self.likelihood_terms(log_likelihood)

    def generate(self, num_samples, seed) -> GeneratedSample:
        """Generate samples as `sample` does, inside a graph.

        Args:
            num_samples: number of samples, int scalar > 0; may be a tensor.
            seed: seed of the samples, int scalar; may be a tensor.

        Returns:
            `GeneratedSample`.
        """
        seed = generation_seed(seed)
        height, width, channels = self.example_shape
        positions = tf.reshape(tf.range(height * width), [1, height, width, 1])

        def draw_pixel(position, x):
            mixture = mixture_of_outputs(
                self.outputs(x), channels, self.num_components
            )
            pixels = sample_mixture(
                mixture, randomness.fold_in(seed, position), self.num_levels
            )
            return position + 1, tf.where(positions == position, pixels, x)

        shape = [num_samples, *self.example_shape]
        start = tf.zeros(shape, self.variable_dtype)
        _, x = tf.while_loop(
            lambda position, _: position < height * width,
            draw_pixel,
            (tf.constant(0), tf.ensure_shape(start, [None, *shape[1:]])),
        )
        return GeneratedSample((x + 1) / 2)
