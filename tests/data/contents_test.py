"""Tests of nae_tf/data/readers/contents.py: features in order by name."""

import dataclasses

import numpy as np
import pytest

from nae_tf.data import sources
from nae_tf.data.readers.contents import Contents

TABLE = Contents(
    np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), None, ("a", *"bc")
)


def test_features_are_put_in_order_by_name():
    read = TABLE.in_order("x.csv", ("c", "a", "b"))
    np.testing.assert_array_equal(read.values, [[3, 1, 2], [6, 4, 5]])
    assert read.names == ("c", "a", "b")


def test_features_without_names_stay_in_order():
    unnamed = dataclasses.replace(TABLE, names=None)
    assert unnamed.in_order("x.npy", ("c", "a", "b")) is unnamed
    assert TABLE.in_order("x.csv", None) is TABLE


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("abcd", r"x.csv lacks the columns \['d'\]; add them: \['a', 'b',"),
        ("ab", r"x.csv has \['c'\] besides; rename or drop them: \['a', 'b'\]"),
        ("abd", r"lacks the columns \['d'\] and has \['c'\] besides; rename"),
    ],
)
def test_missing_and_unknown_names_are_in_the_message(expected, message):
    with pytest.raises(ValueError, match=message):
        TABLE.in_order("x.csv", tuple(expected))


def test_examples_keep_the_names_of_their_features():
    indices = np.arange(2)
    made = sources.from_indices(
        "x", (3,), None, indices, lambda indices: None, names=("a", "b", "c")
    )
    assert made.names == ("a", "b", "c")
    assert sources.ArrayExamples("x", 2, (3,), None, lambda: 0).names is None
