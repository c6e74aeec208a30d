"""Layers and initialisers that the networks of Table 10 need and Keras lacks.

The initialisers are PyTorch's, with which the paper's experiments were run.
"""

import math

import keras


def fan_in_uniform(fan_in: int, fan_out: int | None = None, seed=None):
    """PyTorch's default for the weights and biases of linear layers.

    w ~ uniform(-1 / sqrt(fan_in), 1 / sqrt(fan_in))

    Args:
        fan_in: int > 0. Inputs of the layer per output: `kernel_size**2 *
            in_channels` for a convolution; PyTorch takes `kernel_size**2 *
            out_channels` for a transposed one. A bias has its weight's.
        fan_out: ignored; `xavier_uniform` needs it.
        seed: int or None (drawn, see `keras.utils.set_random_seed`).

    Returns:
        A serialisable Keras initializer.
    """
    del fan_out
    bound = 1 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-bound, bound, seed=seed)


def xavier_uniform(fan_in: int, fan_out: int, seed=None):
    """Glorot and Bengio's uniform initializer with explicit fans.

    w ~ uniform(-b, b),  b = sqrt(6 / (fan_in + fan_out))

    `keras.initializers.GlorotUniform` reads the fans off the weight's shape,
    which is wrong where a convolution is computed as a matrix product.

    Args:
        fan_in: int > 0.
        fan_out: int > 0.
        seed: int or None (drawn, see `keras.utils.set_random_seed`).

    Returns:
        A serialisable Keras initializer.
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-bound, bound, seed=seed)


@keras.saving.register_keras_serializable(package="nae_tf")
class SpectralNormConv2D(keras.layers.Conv2D):
    """Convolution with a spectrally normalised kernel (Miyato et al., 2018).

    y = conv(x, kernel / sigma) + bias,  sigma = ||W u||

    W is the kernel as a [kernel_size**2 * in_channels, filters] matrix and the
    unit vector u [filters] estimates its first right singular vector. Each
    call with `training=True` improves u by one power iteration,
    u <- normalize(W.T W u). Calls with `training=False` leave it alone: the
    network, and with it the energy that Langevin chains descend, is then a
    fixed function of the input. Gradients flow through sigma, as in the paper.

    `keras.layers.SpectralNormalization` overwrites the kernel by kernel /
    sigma on each training call instead, so that the weights depend on how
    often the network is called per optimizer step.

    Args: see `keras.layers.Conv2D`.

    References:
        Miyato et al., Spectral Normalization for Generative Adversarial
        Networks, 2018. https://arxiv.org/abs/1802.05957
    """

    def build(self, input_shape):
        """Create the kernel, the bias and the vector u."""
        super().build(input_shape)
        self.u = self.add_weight(
            name="u",
            shape=(self.filters,),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            trainable=False,
            autocast=False,
        )

    def call(self, inputs, training=False):
        """Convolve; iterate u first if `training`."""
        if training:
            matrix = self._as_matrix(self.kernel)
            direction = keras.ops.matmul(matrix, self.u)
            direction = keras.ops.matmul(direction, matrix)
            self.u.assign(direction / _norm(direction))
        return super().call(inputs)

    def convolution_op(self, inputs, kernel):
        """Convolve with the normalised kernel."""
        direction = self.u / _norm(self.u)
        sigma = _norm(keras.ops.matmul(self._as_matrix(kernel), direction))
        kernel = kernel / keras.ops.cast(sigma, kernel.dtype)
        return super().convolution_op(inputs, kernel)

    # Convolutions save their kernel and bias only; plain layers save all.

    def save_own_variables(self, store):
        """Save u too."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        """Load u too."""
        keras.layers.Layer.load_own_variables(self, store)

    def _as_matrix(self, kernel):
        """The kernel as a matrix, in u's precision even if autocast."""
        kernel = keras.ops.cast(kernel, self.u.dtype)
        return keras.ops.reshape(kernel, (-1, self.filters))


def _norm(vector):
    """Euclidean norm."""
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(vector)))
