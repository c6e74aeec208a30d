"""JSON of files that may be damaged, or somebody else's."""

import json
from typing import Any

# The state of a generator of random numbers has integers of 128 bits.
_LARGEST = 2**128


def parse_json(text: str) -> Any:
    """Parse JSON, and raise nothing but ValueError.

    Args:
        text: the JSON.

    Raises:
        ValueError: if it is not JSON, is nested more deeply than Python's
            recursion goes, or has an integer of more than 128 bits, which no
            float holds.

    Example:
        >>> from nae_tf.base.json_text import parse_json
        >>> parse_json('{"scores": [1, 2.5]}')
        {'scores': [1, 2.5]}
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
        ValueError: it is nested too deeply
    """
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def reason(error: Exception) -> str:
    """Return what an error says in one line, whatever names a file has."""
    return " ".join(str(error).split())


def _integer(digits):
    number = int(digits)
    if abs(number) > _LARGEST:
        raise ValueError(f"it has an integer of {len(digits)} digits")
    return number
