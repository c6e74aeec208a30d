"""Tests of nae_tf/data/schema.py and fingerprints.py."""

import hashlib
import json

import numpy as np
import pytest
from data_files import random_images, write_folder

from nae_tf.data import Schema, Task, fingerprints, read_files
from nae_tf.data.schema import SetRecord
from nae_tf.data.sources import ArrayExamples


def array_of(values, num_levels=None, names=None):
    values = np.asarray(values)
    return ArrayExamples(
        "values",
        len(values),
        values.shape[1:],
        num_levels,
        lambda: values,
        names=names,
    )


def task_of(train, validation, test, **settings):
    return Task(
        "task",
        array_of(train, **settings),
        array_of(validation, **settings),
        array_of(test, **settings),
        files={"a.npy": 9},
    )


def test_a_schema_describes_a_training():
    images = np.zeros((4, 2, 3, 1), np.uint16)
    images[1, 0, 0, 0] = 4095
    task = task_of(images, images[:2], images[:1], num_levels=2**16)
    hashes = {"train": np.array([1, 2, 3, 4], np.uint64)}
    schema = Schema.of_task(task, hashes)
    assert schema.shape == (2, 3, 1)
    assert schema.num_levels == 65_536
    assert schema.value_range == pytest.approx((0, 4095 / 65_535))
    assert schema.sets["train"].num_examples == 4
    assert schema.files == {"a.npy": 9}
    content = json.loads(schema.to_json())
    assert content["layout"] == ["height", "width", "channels"]
    assert content["colour"] == "grey"


def test_a_schema_is_read_as_it_was_written():
    schema = Schema(
        (2,),
        None,
        (-1.5, 2.25),
        ("mass", "Größe, m"),
        {"train": SetRecord(7, "0" * 64)},
        {"a.csv": 10},
    )
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "shape": 3}']
)
def test_other_texts_are_no_schema(text):
    with pytest.raises(ValueError, match="this is not a schema") as caught:
        Schema.from_json(text)
    assert "\n" not in str(caught.value)


def test_columns_are_ordered_by_name():
    schema = Schema((3,), names=("a", "b", "c"))
    assert schema.order("x.csv", ("c", "a", "b")).tolist() == [1, 2, 0]
    assert schema.order("x.csv", ("a", "b", "c")) is None
    assert schema.order("x.csv", None) is None
    assert Schema((3,)).order("x.csv", ("c", "a", "b")) is None
    with pytest.raises(ValueError, match=r"x.csv .*\['b'\].*\['B'\]"):
        schema.order("x.csv", ("c", "a", "B"))


def test_what_differs_is_said():
    grey = Schema((8, 8, 1), 256)
    assert grey.difference((8, 8, 1), 256) is None
    assert "8 x 8 pixels, RGB" in grey.difference((8, 8, 3), 256)
    assert "65536 levels" in grey.difference((8, 8, 1), 65_536)
    assert "4 features" in Schema((3,)).difference((4,))


def test_fingerprints_tell_stored_values_apart():
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    changed = values.copy()
    changed[20, 1] = np.nextafter(changed[20, 1], np.float32(9))
    some, others = (
        fingerprints.fingerprints(array_of(x)) for x in (values, changed)
    )
    assert np.flatnonzero(some != others).tolist() == [20]
    digests = [
        fingerprints.digest_of(x) for x in (some, others, some[::-1], some)
    ]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def rows(examples):
    stored = np.stack(list(examples.stored().as_numpy_iterator()))
    return set(stored.ravel().tolist())


def keep_apart(then, now):
    """Divide one number per example; return validation and test."""

    def column(values):
        return np.array(values, np.float32)[:, None]

    before, after = (
        task_of(*(column(part) for part in parts)) for parts in (then, now)
    )
    hashes = [
        {
            name: fingerprints.fingerprints(getattr(task, name))
            for name in fingerprints.INLIERS
        }
        for task in (after, before)
    ]
    task = fingerprints.keep_apart(after, *hashes)
    return rows(task.validation), rows(task.test)


def test_what_was_trained_on_is_never_held_out():
    then = [1, 2, 3, 4, 5, 6], [7, 8], [9, 10]
    # Another split of the same numbers, and 20, 21, 22, which are new.
    now = [7, 9, 1, 2, 20], [3, 10, 8, 21], [4, 5, 6, 22]
    assert keep_apart(then, now) == ({7, 8, 21}, {9, 10, 22})


def test_equal_examples_count_as_trained_on():
    validation, test = keep_apart(
        ([1, 2, 3], [3, 4], [4, 5]), ([1, 9], [3, 4], [2, 5])
    )
    assert (validation, test) == ({4}, {5})


def test_data_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="leave nothing for test"):
        keep_apart(([1, 2], [3], [4]), ([2, 5], [3], [1]))


def test_images_are_told_apart_by_their_files(tmp_path):
    """Decoding and resizing may round in another way on another processor."""
    images = random_images(4, 5, 5, 1)
    write_folder(tmp_path, images)
    paths = sorted(tmp_path.iterdir())
    files = read_files(str(tmp_path), image_shape=(3, 3, 1))
    found = fingerprints.fingerprints(files.select("some", np.array([3, 1])))
    expected = [
        hashlib.blake2b(paths[index].read_bytes(), digest_size=8).digest()
        for index in (3, 1)
    ]
    assert found.astype("<u8").tobytes() == b"".join(expected)
