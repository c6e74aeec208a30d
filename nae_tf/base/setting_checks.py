"""Checks of settings: type, range and choice of a value.

Every message is one line: whose setting it is, what was expected, what was
received.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real


def check_number(owner: str, name: str, value, interval: str):
    """Refuse a value that is no real number, or outside of an interval.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: value received.
        interval: numbers allowed, as mathematics writes them: "[0, 1)" holds 0
            and not 1, "(0, inf)" all positive numbers but infinity.

    Raises:
        ValueError: the value is something else.

    Example:
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
    """Refuse a value that is no integer, or outside of a range.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: value received.
        smallest: smallest integer allowed.
        largest: largest integer allowed; None for no limit.
        remedy: what else the user could do.

    Raises:
        ValueError: the value is something else.

    Example:
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

    Raises:
        ValueError: the value is something else.
    """
    if not isinstance(value, bool):
        _refuse(owner, f"{name} True or False", value)


def check_choice(owner: str, name: str, value, choices: Collection):
    """Refuse a value that is not among a few.

    Args:
        owner: class or function that has the setting.
        name: name of the setting.
        value: value received.
        choices: values allowed.

    Raises:
        ValueError: the value is another one.

    Example:
        >>> check_choice("Phase", "keep", "first", ["best", "last"])
        Traceback (most recent call last):
        ValueError: Phase: expected keep 'best' or 'last', received 'first'.
    """
    # In a list: a set or a dictionary cannot look up what has no hash.
    if value not in list(choices):
        *others, last = map(repr, choices)
        listed = f"{', '.join(others)} or {last}" if others else last
        _refuse(owner, f"{name} {listed}", value)


def _refuse(owner, expected, value, remedy=""):
    message = f"{owner}: expected {expected}, received {value!r}"
    raise ValueError(f"{message}; {remedy}." if remedy else f"{message}.")
