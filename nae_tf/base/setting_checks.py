"""Checks of settings: the type and the range that a number must have."""

from numbers import Integral


def check_integer(owner: str, name: str, value, smallest: int):
    """Refuse a value that is no integer, or too small.

    Raises:
        ValueError: names the owner, the setting and what was received.
    """
    if not isinstance(value, Integral) or value < smallest:
        raise ValueError(
            f"{owner}: expected an integer {name} >= {smallest}, received "
            f"{value!r}."
        )


def check_flag(owner: str, name: str, value):
    """Refuse a value that is neither True nor False, such as 'no'.

    Raises:
        ValueError: names the owner, the setting and what was received.
    """
    if not isinstance(value, bool):
        raise ValueError(
            f"{owner}: expected {name} True or False, received {value!r}."
        )
