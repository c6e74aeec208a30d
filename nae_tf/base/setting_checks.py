"""Checks of settings: type, range and choice of a value.

Every message is one line: the owner of the setting, the expected values, the
received one.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real

import numpy as np

# Characters of a received value that a message shows.
_LONGEST = 80


def check_number(owner: str, name: str, value, interval: str):
    """Refuse a value that is not a real number, or outside of an interval.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: received value.
        interval: allowed numbers in mathematical notation. "[0, 1)" contains 0
            but not 1, "(0, inf)" all positive numbers but infinity.

    Raises:
        ValueError: if the value is something else.

    Example:
        >>> from nae_tf.base.setting_checks import check_number
        >>> check_number("DAGMM", "dropout", 1.0, "[0, 1)")
        Traceback (most recent call last):
        ValueError: DAGMM: expected dropout in [0, 1), received 1.0.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    inside = (
        _is_a(Real, value)
        and low <= value <= high
        and not (value == low and interval.startswith("("))
        and not (value == high and interval.endswith(")"))
    )
    if not inside:
        expected = f"{name} in {interval}"
        if high == math.inf:
            sign = ">" if interval.startswith("(") else ">="
            finite = "a finite " if interval.endswith(")") else ""
            expected = f"{finite}{name} {sign} {low:g}"
        _refuse(owner, expected, value)


def check_integer(
    owner: str,
    name: str,
    value,
    smallest: int,
    largest: int | None = None,
    remedy: str = "",
):
    """Refuse a value that is not an integer, or outside of a range.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: received value.
        smallest: smallest allowed integer.
        largest: largest allowed integer; None for no limit.
        remedy: advice that ends the message: another way for the user.

    Raises:
        ValueError: if the value is something else.

    Example:
        >>> from nae_tf.base.setting_checks import check_integer
        >>> check_integer("Phase", "epochs", 1.5, 0)
        Traceback (most recent call last):
        ValueError: Phase: expected an integer epochs >= 0, received 1.5.
    """
    inside = (
        _is_a(Integral, value)
        and value >= smallest
        and (largest is None or value <= largest)
    )
    if not inside:
        range_ = f">= {smallest}"
        if largest is not None:
            range_ = f"in {smallest} ... {largest}"
        _refuse(owner, f"an integer {name} {range_}", value, remedy)


def check_seed(owner: str, seed):
    """Refuse what is no seed of TensorFlow's, an integer of 32 bits.

    Args:
        owner: class or function that has the setting.
        seed: received value.

    Raises:
        ValueError: if the value is something else.
    """
    check_integer(owner, "seed", seed, -(2**31), 2**31 - 1)


def check_instance(owner: str, name: str, value, kind: type):
    """Refuse a value that is not an object of a class.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: received value.
        kind: the class.

    Raises:
        ValueError: if the value is something else.
    """
    if not isinstance(value, kind):
        _refuse(owner, f"{name} of the class {kind.__name__}", value)


def check_flag(owner: str, name: str, value):
    """Refuse a value that is neither True nor False, such as 'no'.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: received value.

    Raises:
        ValueError: if the value is something else.
    """
    if not isinstance(value, bool):
        _refuse(owner, f"{name} True or False", value)


def check_choice(owner: str, name: str, value, choices: Collection):
    """Refuse a value that is not one of the choices.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: received value.
        choices: allowed values.

    Raises:
        ValueError: if the value is another one.

    Example:
        >>> from nae_tf.base.setting_checks import check_choice
        >>> check_choice("Phase", "keep", "first", ["best", "last"])
        Traceback (most recent call last):
        ValueError: Phase: expected keep 'best' or 'last', received 'first'.
    """
    try:
        # In a list, because a set cannot look up values without a hash.
        known = value in list(choices)
    except (TypeError, ValueError):  # Arrays and tensors compare elements.
        known = False
    if not known:
        *others, last = map(repr, choices)
        listed = f"{', '.join(others)} or {last}" if others else last
        _refuse(owner, f"{name} {listed}", value)


def check_sizes(owner: str, name: str, value) -> tuple[int, ...]:
    """Refuse what is no list of sizes, such as the shape of an example.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: received value.

    Returns:
        The sizes.

    Raises:
        ValueError: if they are no integers > 0.

    Example:
        >>> from nae_tf.base.setting_checks import check_sizes
        >>> check_sizes("constant", "image_shape", [8, 8, 1])
        (8, 8, 1)
        >>> check_sizes("constant", "image_shape", 8)
        Traceback (most recent call last):
        ValueError: constant: expected image_shape a tuple of integers >= 1, \
received 8.
    """
    sizes = _ordered(value)
    if sizes is None or not all(
        _is_a(Integral, size) and 1 <= size < 2**31 for size in sizes
    ):
        _refuse(owner, f"{name} a tuple of integers >= 1", value)
    return tuple(map(int, sizes or ()))


def check_ends(owner: str, name: str, value) -> tuple[float, float]:
    """Refuse what is not the ends (low, high) of an interval.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: received value.

    Returns:
        The ends.

    Raises:
        ValueError: if they are not two numbers, or in the other order.
    """
    ends = _ordered(value)
    if (
        ends is None
        or len(ends) != 2
        or not all(_is_a(Real, end) for end in ends)
        or not ends[0] < ends[1]
    ):
        _refuse(owner, f"{name} (low, high)", value)
    low, high = ends or (0.0, 0.0)
    return low, high


def _is_a(kind, value) -> bool:
    """Return whether a value is a number of a kind, and meant to be one."""
    # To Python, True is an integer; to NumPy, a duration is.
    return isinstance(value, kind) and not isinstance(
        value, bool | np.timedelta64
    )


def _ordered(value) -> tuple | None:
    """Return the elements of a tuple, a list or a vector, or None."""
    is_vector = isinstance(value, np.ndarray) and value.ndim == 1
    return (
        tuple(value) if is_vector or isinstance(value, tuple | list) else None
    )


def shown(value) -> str:
    """Return a received value in one line, of arrays and frames too.

    Args:
        value: anything.

    Example:
        >>> import numpy as np
        >>> from nae_tf.base.setting_checks import shown
        >>> shown(np.eye(2))
        'array([[1., 0.], [0., 1.]])'
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _refuse(owner, expected, value, remedy=""):
    message = f"{owner}: expected {expected}, received {shown(value)}"
    raise ValueError(f"{message}; {remedy}." if remedy else f"{message}.")
