"""Checks of settings: type, range and choice of a value.

Every message is one line: the owner of the setting, the expected values, the
received one.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real

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
    # True and False are integers to Python.
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    inside = (
        is_number
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
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    inside = (
        is_integer
        and value >= smallest
        and (largest is None or value <= largest)
    )
    if not inside:
        range_ = f">= {smallest}"
        if largest is not None:
            range_ = f"in {smallest} ... {largest}"
        _refuse(owner, f"an integer {name} {range_}", value, remedy)


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
    # In a list, because a set cannot look up values without a hash.
    if value not in list(choices):
        *others, last = map(repr, choices)
        listed = f"{', '.join(others)} or {last}" if others else last
        _refuse(owner, f"{name} {listed}", value)


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
