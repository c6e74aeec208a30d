"""Tests of nae_tf/data/preparation.py. None of them uses the network."""

import dataclasses
import gzip
import hashlib
import io
import os
import pathlib
import tarfile
import types

import numpy as np
import pytest
import tensorflow as tf
from preparation import local_files, preparation_module

from nae_tf.data import image_tasks, sources, tfds_images

_DEBIAN = pathlib.Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="module")
def tool():
    return preparation_module()


@pytest.mark.parametrize("level", [1, 9, None])
def test_files_are_checked_by_contents_however_compressed(
    tool, tmp_path, level
):
    contents = bytes(range(256)) * 10
    files = local_files(tmp_path, {"images": contents})
    if level is None:
        (tmp_path / "raw" / "images").write_bytes(contents)
    else:
        (tmp_path / "raw" / "images.gz").write_bytes(
            gzip.compress(contents, level)
        )
    answer = files.download_and_extract({"x": "http://host/a/images.gz"})
    assert list(answer) == ["x"]
    assert answer["x"].read_bytes() == contents


def test_archives_are_checked_against_the_sums_of_tensorflow_datasets(
    tool, tmp_path
):
    url = "http://host/photos.zip"
    info = types.SimpleNamespace(
        filename="photos.zip", checksum=hashlib.sha256(b"photos").hexdigest()
    )
    files = local_files(tmp_path, {}, {url: info})
    archive = tmp_path / "raw" / "photos.zip"
    archive.write_bytes(b"photos")
    assert files.download([url]) == [archive]


def test_a_failed_import_leaves_nothing(tool, tmp_path):
    raw, data_dir = tmp_path / "raw", tmp_path / "data"
    raw.mkdir()
    for name in tool.MD5_OF_CONTENTS["fashion_mnist"]:
        (raw / name).write_bytes(b"other bytes")
    with pytest.raises(ValueError, match="is not the original file"):
        tool.prepare("fashion_mnist", str(data_dir), str(raw))
    assert not list(data_dir.rglob("*fashion*"))


def test_a_prepared_set_is_left_alone(tool):
    data_dir = os.environ.get("NAE_TF_DATA_DIR")
    if not data_dir or not pathlib.Path(data_dir, "mnist").exists():
        pytest.skip("NAE_TF_DATA_DIR is not set or has no mnist")
    target = tool.prepare("mnist", import_from="/nonexistent")
    assert target.parent == pathlib.Path(data_dir, "mnist")


def png(image):
    return tf.io.encode_png(image).numpy()


def write_tar(path, images):
    with tarfile.open(path, "w") as archive:
        for index, image in enumerate(images):
            member = tarfile.TarInfo(f"{index}.png")
            encoded = png(image)
            member.size = len(encoded)
            archive.addfile(member, io.BytesIO(encoded))


@pytest.fixture
def imagenet_images(tmp_path, monkeypatch):
    """Make the archives of a tiny ImageNet32 pass for the originals."""
    import tensorflow_datasets as tfds

    raw = tmp_path / "raw"
    raw.mkdir()
    images = np.random.default_rng(0).integers(
        0, 256, (8, 32, 32, 3), dtype=np.uint8
    )
    write_tar(raw / "train_32x32.tar", images[:5])
    write_tar(raw / "valid_32x32.tar", images[5:])
    builder_class = type(tfds.builder("downsampled_imagenet/32x32"))
    for url, info in list(builder_class.url_infos.items()):
        path = raw / pathlib.PurePosixPath(url).name
        if path.exists():
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            monkeypatch.setitem(
                builder_class.url_infos,
                url,
                dataclasses.replace(info, checksum=checksum),
            )
    return images


def test_archives_are_imported_whole_after_a_killed_import(
    tool, tmp_path, imagenet_images
):
    data_dir = tmp_path / "data"
    left = data_dir / ".incomplete-imagenet32" / "downsampled_imagenet"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")
    with pytest.raises(FileNotFoundError, match="nothing of it is in"):
        tfds_images.image_examples("imagenet32", "test", data_dir=str(data_dir))

    tool.prepare("imagenet32", str(data_dir), str(tmp_path / "raw"))
    test = tfds_images.image_examples(
        "imagenet32", "test", data_dir=str(data_dir)
    )
    stored = sources.to_array(test.stored())
    assert {x.tobytes() for x in stored} == {
        x.tobytes() for x in imagenet_images[5:]
    }
    assert os.listdir(data_dir) == ["downsampled_imagenet"]


def test_a_set_appears_by_one_rename(
    tool, tmp_path, imagenet_images, monkeypatch
):
    def interrupt(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool.os, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tool.prepare(
            "imagenet32", str(tmp_path / "data"), str(tmp_path / "raw")
        )
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_fashion_mnist_is_imported_from_debians_files(tool, tmp_path):
    import tensorflow_datasets as tfds

    if not _DEBIAN.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    tool.prepare("fashion_mnist", str(tmp_path), str(_DEBIAN))
    loaded = tfds.load(
        "fashion_mnist",
        split="test",
        data_dir=tmp_path,
        download=False,
        batch_size=-1,
    )
    with gzip.open(_DEBIAN / "t10k-images-idx3-ubyte.gz") as file:
        raw = np.frombuffer(file.read()[16:], np.uint8)
    raw = raw.reshape(10_000, 28, 28, 1)
    assert sorted(x.tobytes() for x in loaded["image"].numpy()) == sorted(
        x.tobytes() for x in raw
    )
    task = image_tasks.class_holdout("fashion_mnist", 3, data_dir=str(tmp_path))
    assert task.train.size + task.validation.size == 54_000
    [outliers] = task.outliers.values()
    with gzip.open(_DEBIAN / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], np.uint8)
    assert {x.tobytes() for x in sources.to_array(outliers.stored())} == {
        x.tobytes() for x in raw[labels == 3]
    }
    assert os.listdir(tmp_path) == ["fashion_mnist"]
