"""Terms of the training loss: pure functions of energies and weights.

    loss = mean E(x) - mean E(x')                                      (Eq. 12)
           + negative_energy_penalty * mean E(x')**2            (section 6.1)
           + encoder_l2 * |encoder|^2 + decoder_l2 * |decoder|^2  (section D.3)
           + latent_l2 * mean z**2                              (section 6.1)

with x from the data and x' from the model; x' carries no gradient.
"""

import tensorflow as tf


def energy_gap(positive_energy, negative_energy):
    """Contrastive loss whose gradient is T times that of -log p (Eq. 12).

    Args:
        positive_energy: float [batch], E(x) of data.
        negative_energy: float [batch], E(x') of samples of the model.

    Returns:
        float scalar, mean E(x) - mean E(x').
    """
    # Differs from the paper: not divided by T, as in the authors' code, so that
    # a trained temperature does not change the weight of the regularisers.
    return tf.reduce_mean(positive_energy) - tf.reduce_mean(negative_energy)


def squared_energy(negative_energy):
    """Mean E(x')**2, which keeps negative energies from diverging.

    Args:
        negative_energy: float [batch].

    Returns:
        float scalar.
    """
    return tf.reduce_mean(tf.square(negative_energy))


def temperature_loss(gap, log_temperature):
    """Loss that trains log T: (E(x) - E(x')) / T with the energies fixed.

    Its derivative with respect to log T is -gap / T, which is that of
    -log p(x) when x' is drawn from the model.

    Args:
        gap: float scalar, result of `energy_gap`.
        log_temperature: float scalar.

    Returns:
        float scalar.
    """
    return tf.stop_gradient(gap) * tf.exp(-log_temperature)


def sum_of_squares(weights):
    """Squared L2 norm of all weights, biases included.

    Args:
        weights: sequence of tensors or variables.

    Returns:
        float scalar; 0 for no weights.
    """
    # Differs from the paper: section D.3 speaks of the norm of the weights; the
    # authors' code squares it and counts every parameter.
    return sum(2.0 * tf.nn.l2_loss(weight) for weight in weights)


def mean_square(z):
    """Mean over examples and dimensions of z**2, the latent regulariser.

    Args:
        z: float [batch, latent_dim].

    Returns:
        float scalar.
    """
    # Differs from the paper: section 6.1 speaks of the squared norm; the
    # authors' code takes the mean over dimensions.
    return tf.reduce_mean(tf.square(z))
