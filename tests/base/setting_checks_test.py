import doctest
import fractions
import math

import numpy as np
import pytest

from nae_tf.base import setting_checks
from nae_tf.base.setting_checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1)", [0, 0.5, np.nextafter(1, 0)], [-0.1, 1, 1.5]),
        ("(0, 1]", [np.nextafter(0, 1), 1], [0, -1, np.nextafter(1, 2)]),
        ("[1, inf]", [1, 1e300, math.inf], [0.9, -math.inf]),
        ("(0, inf)", [1e-300, 7], [0, math.inf]),
        ("[0, inf)", [0, False + 0, 3.5], [-1e-300, math.inf]),
        ("(0, 0.5]", [0.5], [0.6]),
    ],
)
def test_a_number_is_in_its_interval(interval, inside, outside):
    for value in inside:
        check_number("Owner", "rate", value, interval)
    for value in [*outside, math.nan]:
        with pytest.raises(ValueError, match=r"^Owner: expected .*rate"):
            check_number("Owner", "rate", value, interval)


@pytest.mark.parametrize(
    "value", [1, 1.0, np.float32(1), np.int64(1), fractions.Fraction(1)]
)
def test_numbers_of_all_libraries_are_numbers(value):
    check_number("Owner", "rate", value, "[1, 1]")


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1], np.ones(1)])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="received"):
        check_number("Owner", "rate", value, "[0, 2]")
    with pytest.raises(ValueError, match="received"):
        check_integer("Owner", "count", value, 0)


def test_an_integer_is_in_its_range():
    for value in (0, 9, np.int32(4)):
        check_integer("Owner", "digit", value, 0, 9)
    for value in (-1, 10, 3.0):
        with pytest.raises(ValueError, match=r"integer digit in 0 \.\.\. 9"):
            check_integer("Owner", "digit", value, 0, 9)
    check_integer("Owner", "digit", 10**30, 0)


@pytest.mark.parametrize("value", ["no", 0, 1, None])
def test_a_flag_is_a_boolean(value):
    check_flag("Owner", "flip", True)
    check_flag("Owner", "flip", False)
    with pytest.raises(ValueError, match="flip True or False, received"):
        check_flag("Owner", "flip", value)


@pytest.mark.parametrize("choices", [["a", None], {"a": 1, None: 2}, ("a",)])
def test_a_choice_is_among_the_choices(choices):
    for value in choices:
        check_choice("Owner", "kind", value, choices)
    for value in ("b", ["a"], {}, 0):
        with pytest.raises(ValueError, match=r"^Owner: expected kind 'a'"):
            check_choice("Owner", "kind", value, choices)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: check_number("NAE", "temperature", math.inf, "(0, inf)"),
            "NAE: expected a finite temperature > 0, received inf.",
        ),
        (
            lambda: check_number("Guard", "ratio", "1", "[0.5, inf]"),
            "Guard: expected ratio >= 0.5, received '1'.",
        ),
        (
            lambda: check_integer(
                "Sampler", "size", 0, 1, remedy="turn it off"
            ),
            "Sampler: expected an integer size >= 1, received 0; turn it off.",
        ),
        (
            lambda: check_choice("Chain", "clip", "norm", [None, "row", "all"]),
            "Chain: expected clip None, 'row' or 'all', received 'norm'.",
        ),
    ],
)
def test_a_message_says_what_was_expected_and_received(check, message):
    with pytest.raises(ValueError) as caught:
        check()
    assert str(caught.value) == message


def test_the_examples_hold():
    assert doctest.testmod(setting_checks).failed == 0
