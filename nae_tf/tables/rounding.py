"""Energies without the digits that depend on the place of a row in a batch."""

import numpy as np

# Of the significand of float32. Double precision has 53 bits, of which the
# last few differ.
_NUM_BITS = 24


def rounded(energies) -> np.ndarray:
    """Round to the precision of float32, at the range of double precision.

    The last digits of a sum depend on how the rows of a batch share the
    processor's registers. Equal rows need equal energies all the same: a
    threshold or a p-value is often the energy of a row that occurs again.

    Args:
        energies: float array.

    Returns:
        float64, of the same shape.

    Example:
        >>> from nae_tf.tables import rounded
        >>> bool(rounded(0.1 + 0.2) == rounded(0.3))
        True
    """
    fraction, exponent = np.frexp(np.asarray(energies, np.float64))
    digits = np.rint(np.ldexp(fraction, _NUM_BITS))
    return np.ldexp(digits, exponent - _NUM_BITS)
