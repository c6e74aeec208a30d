"""Tests of nae_tf/data/selection.py: samples and parts of sets."""

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.data import selection
from nae_tf.data.sources import ArrayExamples, StreamedExamples


def array_of(values, **settings):
    values = np.asarray(values, np.float32)
    return ArrayExamples(
        "values",
        len(values),
        values.shape[1:],
        None,
        lambda: values,
        **settings,
    )


def streamed(values):
    values = np.asarray(values, np.float32)
    return StreamedExamples(
        "values",
        len(values),
        values.shape[1:],
        None,
        lambda: tf.data.Dataset.from_tensor_slices(values),
    )


def all_of(examples):
    return np.concatenate(list(examples.batches(64).as_numpy_iterator()))


@pytest.mark.parametrize("make", [array_of, streamed])
def test_a_sample_stands_for_a_sorted_file(make):
    """Of two classes one after the other, both are drawn, in file order."""
    values = np.arange(1_000.0)[:, None]
    drawn = all_of(selection.sample(make(values), 100))[:, 0]
    assert len(set(drawn)) == 100
    assert (np.diff(drawn) > 0).all()
    # Hypergeometric: 50 of each half on average, deviation 4.7.
    assert 30 < np.sum(drawn < 500) < 70
    again = all_of(selection.sample(make(values), 100))[:, 0]
    other = all_of(selection.sample(make(values), 100, seed=1))[:, 0]
    assert (drawn == again).all()
    assert set(drawn) != set(other)


def test_a_sample_of_everything_is_the_set():
    whole = array_of(np.zeros((5, 2)))
    assert selection.sample(whole, None) is whole
    assert selection.sample(whole, 5) is whole


def test_positions_in_a_sample_are_found_in_the_file():
    values = np.arange(50.0)[:, None]
    drawn = selection.sample(array_of(values), 10)
    found = selection.positions_in_whole(drawn, np.array([7, 0]))
    assert (values[found] == all_of(drawn)[[7, 0]]).all()
    assert selection.positions_in_whole(array_of(values), [3]) == [3]


def test_parts_of_several_sets_are_one_set():
    some = selection.select(
        "some",
        (array_of([[0.0], [1.0], [2.0]]), np.array([0, 2])),
        (streamed([[3.0], [4.0]]), np.array([1])),
    )
    assert some.size == 3
    assert all_of(some).ravel().tolist() == [0.0, 2.0, 4.0]
    batches = some.training_batches(3, seed=0).as_numpy_iterator()
    assert sorted(next(batches).ravel()) == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_features_are_put_in_order_by_name(is_streamed):
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    if is_streamed:
        whole = StreamedExamples(
            "values",
            2,
            (3,),
            None,
            lambda: tf.data.Dataset.from_tensor_slices(values),
            names=("a", "b", "c"),
        )
    else:
        whole = array_of(values, names=("a", "b", "c"))
    ordered = selection.in_order(whole, ("c", "a", "b"))
    assert ordered.names == ("c", "a", "b")
    assert all_of(ordered).tolist() == [[3, 1, 2], [6, 4, 5]]
    assert selection.in_order(whole, ("a", "b", "c")) is whole
    with pytest.raises(ValueError, match=r"lacks the columns \['d'\]"):
        selection.in_order(whole, ("a", "b", "d"))


def test_features_of_some_rows_are_put_in_order():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    whole = ArrayExamples(
        *("some", 2, (2,), None, lambda: rows, np.array([0, 2])),
        names=("a", "b"),
    )
    ordered = selection.in_order(whole, ("b", "a"))
    assert all_of(ordered).tolist() == [[2, 1], [6, 5]]
    last = np.array([1])
    assert all_of(selection.select("last", (whole, last))).tolist() == [[5, 6]]
    last = selection.select("last", (ordered, last))
    assert all_of(last).tolist() == [[6, 5]]
