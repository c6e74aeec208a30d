"""Layers and initialisers that the networks of Table 10 need and Keras lacks.

The initialisers are PyTorch's, with which the paper's experiments were run.
"""

import math

import keras


def fan_in_uniform(fan_in: int, seed=None):
    """PyTorch's default for the weights and biases of linear layers.

        w ~ uniform(-1 / sqrt(fan_in), 1 / sqrt(fan_in))

    Args:
        fan_in: int > 0. Inputs of the layer per output: `kernel_size**2 *
            in_channels` for a convolution; PyTorch takes `kernel_size**2 *
            out_channels` for a transposed one. A bias has that of its weight.
        seed: int, or None for one that `keras.utils.set_random_seed` decides.

    Returns:
        A serialisable Keras initializer.
    """
    bound = 1 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-bound, bound, seed=seed)


def xavier_uniform(fan_in: int, fan_out: int, seed=None):
    """Glorot and Bengio's uniform initializer with explicit fans.

        w ~ uniform(-b, b),  b = sqrt(6 / (fan_in + fan_out))

    `keras.initializers.GlorotUniform` takes the fans from the weight's shape,
    which is wrong where a convolution is computed as a matrix product.

    Args:
        fan_in: int > 0. Inputs of the layer per output.
        fan_out: int > 0. Outputs of the layer per input.
        seed: int, or None for one that `keras.utils.set_random_seed` decides.

    Returns:
        A serialisable Keras initializer.
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-bound, bound, seed=seed)


@keras.saving.register_keras_serializable(package="nae_tf")
class SpectralNormConv2D(keras.layers.Conv2D):
    """Convolution with a spectrally normalised kernel (Miyato et al., 2018).

        y = conv(x, kernel / sigma) + bias,  sigma = ||W u||

    W is the kernel as a [kernel_size**2 * in_channels, filters] matrix. The
    unit vector u [filters] estimates its first right singular vector. Each call
    with `training=True` improves u by one power iteration, u <-
    normalize(W.T W u). Calls with `training=False` do not change u: the
    network, and with it the energy that Langevin chains descend, is then a
    fixed function of the input. Gradients flow through sigma, as in the paper.

    `keras.layers.SpectralNormalization` instead overwrites the kernel by kernel
    / sigma on each training call. Its weights then depend on how often the
    network is called per optimizer step.

    The arguments are those of `keras.layers.Conv2D`.

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
        """Convolve, after a power iteration of u if `training`."""
        if training:
            matrix = self._as_matrix(self.kernel)
            direction = keras.ops.matmul(matrix, self.u)
            direction = keras.ops.matmul(direction, matrix)
            self.u.assign(direction / _norm(direction))
        return super().call(inputs)

    def convolution_op(self, inputs, kernel):
        """Convolve with the normalised kernel."""
        return super().convolution_op(inputs, self.normalized(kernel))

    def normalized(self, kernel):
        """Return kernel / sigma, with sigma as u estimates it."""
        direction = self.u / _norm(self.u)
        sigma = _norm(keras.ops.matmul(self._as_matrix(kernel), direction))
        return kernel / keras.ops.cast(sigma, kernel.dtype)

    # Convolutions save only their kernel and bias; plain layers save all.

    def save_own_variables(self, store):
        """Save the kernel, the bias and u."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        """Load the kernel, the bias and u."""
        keras.layers.Layer.load_own_variables(self, store)

    def _as_matrix(self, kernel):
        """Return the kernel as a matrix in the precision of u."""
        kernel = keras.ops.cast(kernel, self.u.dtype)
        return keras.ops.reshape(kernel, (-1, self.filters))


def _norm(vector):
    """Return the Euclidean norm of a vector."""
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(vector)))
