"""Sets of tensorflow-datasets whose files are not TFRecord files."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.data import sources, tfds_files, tfds_images

LIBRARIES = {"array_record": "array_record", "parquet": "pyarrow"}


def in_format(folder, name):
    """Write the files of a prepared set in another format.

    The command of tensorflow-datasets, `tfds convert_format`, needs Beam.
    """
    tfds = tfds_files.import_tfds()
    adapters = tfds.core.file_adapters
    adapter = adapters.ADAPTER_FOR_FORMAT[tfds.core.FileFormat(name)]
    for path in folder.glob("*.tfrecord-*"):
        records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        other = path.with_name(path.name.replace("tfrecord", name))
        adapter.write_examples(str(other), list(enumerate(records)))
        path.unlink()
    describe(folder, name)


def describe(folder, name):
    description = folder / "dataset_info.json"
    info = json.loads(description.read_text())
    description.write_text(json.dumps(info | {"fileFormat": name}))


@pytest.fixture(params=LIBRARIES)
def other_format(request, tiny_mnist, tmp_path):
    """The folder of tiny_mnist, and what is in it."""
    pytest.importorskip(LIBRARIES[request.param])
    before = {
        split: sources.to_array(
            tfds_images.image_examples("mnist", split).stored()
        )
        for split in ("train", "validation", "test")
    }
    [folder] = (tmp_path / "mnist").iterdir()
    in_format(folder, request.param)
    return folder, before


@pytest.mark.parametrize("max_bytes", [2**30, 100])
def test_another_format_has_the_same_examples(
    other_format, monkeypatch, max_bytes
):
    monkeypatch.setattr(sources, "MAX_BYTES_IN_MEMORY", max_bytes)
    folder, before = other_format
    assert not list(folder.glob("*.tfrecord-*"))
    for split, images in before.items():
        read = tfds_images.image_examples("mnist", split)
        np.testing.assert_array_equal(sources.to_array(read.stored()), images)
    labels = np.arange(40) % 10
    np.testing.assert_array_equal(
        tfds_images.read_labels("mnist", "test"), labels
    )
    fives = tfds_images.image_examples("mnist", "test", classes={5})
    np.testing.assert_array_equal(
        sources.to_array(fives.stored()), before["test"][labels == 5]
    )


def test_a_damaged_file_of_another_format_is_one_line(other_format):
    folder, _ = other_format
    for path in sorted(folder.glob("*-test*-*")):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match="damaged; remove its folder"
    ) as caught:
        np.asarray(tfds_images.image_examples("mnist", "test").array)
    assert "\n" not in str(caught.value)


def test_a_missing_file_of_another_format_is_named(other_format):
    folder, _ = other_format
    path = sorted(folder.glob("*-test*-*"))[1]
    path.unlink()
    with pytest.raises(ValueError, match=f"{path.name} is missing"):
        tfds_images.image_examples("mnist", "test")


def test_a_format_that_is_not_read_is_one_line(tiny_mnist, tmp_path):
    [folder] = (tmp_path / "mnist").iterdir()
    for path in list(folder.glob("*.tfrecord-*")):
        path.rename(path.with_name(path.name.replace("tfrecord", "riegeli")))
    describe(folder, "riegeli")
    with pytest.raises(
        ValueError, match=r"'riegeli'; expected tfrecord, array_record or"
    ):
        tfds_images.image_examples("mnist", "test")


def test_a_library_that_is_missing_is_named(other_format, monkeypatch):
    folder, _ = other_format

    def fail(*arguments, **settings):
        raise ImportError("no such module")

    builder = tfds_files.import_tfds().core.DatasetBuilder
    monkeypatch.setattr(builder, "as_data_source", fail)
    name = json.loads((folder / "dataset_info.json").read_text())["fileFormat"]
    with pytest.raises(
        ImportError, match=f"pip install {LIBRARIES[name]}$"
    ) as caught:
        tfds_images.image_examples("mnist", "test")
    assert pathlib.Path(folder).name in str(caught.value)
