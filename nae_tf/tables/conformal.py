"""P-values without a calibration set: cross-conformal prediction."""

import numpy as np

from nae_tf.base.number_arrays import as_numbers
from nae_tf.tables.rounding import rounded


def cross_conformal_p_values(energies, fold, left_out_energies) -> np.ndarray:
    """Share of the training data that are at least as outlying.

    Every training row is compared with the energies of the members that were
    not trained on it (Vovk 2015). For exchangeable rows P(p <= a) is close to
    a, and never above 2 a (Barber et al. 2021). Energies are compared after
    `rounded`: equal rows get equal p-values, whatever batch they are in.

    Args:
        energies: float [folds, rows], energies of new rows under the members
            that leave out each fold.
        fold: int [training rows], numbers of folds.
        left_out_energies: float [training rows], energies of training rows
            under the members that leave them out.

    Returns:
        float64 [rows], in [1 / (training rows + 1), 1].

    Raises:
        ValueError: if they are no numbers, or their shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from nae_tf.tables import cross_conformal_p_values
        >>> cross_conformal_p_values(
        ...     np.array([[0.5, 9.0], [0.5, 9.0]]),
        ...     fold=np.array([0, 0, 1]),
        ...     left_out_energies=np.array([1.0, 0.4, 2.0]),
        ... )
        array([0.75, 0.25])
    """
    owner = "cross_conformal_p_values"
    energies = as_numbers(owner, "energies", energies, rank=2)
    fold = as_numbers(owner, "fold", fold, rank=1)
    left_out_energies = as_numbers(
        owner, "left_out_energies", left_out_energies, rank=1
    )
    if len(fold) != len(left_out_energies) or not np.all(
        np.isin(fold, np.arange(len(energies)))
    ):
        raise ValueError(
            f"{owner}: expected a fold below {len(energies)} and an energy of "
            f"every training row, received {len(fold)} folds and "
            f"{len(left_out_energies)} energies."
        )
    count = np.ones(energies.shape[1])
    left_out_energies = rounded(left_out_energies)
    for number, energy in enumerate(rounded(energies)):
        known = np.sort(left_out_energies[fold == number])
        count += len(known) - np.searchsorted(known, energy, side="left")
    return count / (len(fold) + 1)
