"""Files are written whole or not at all."""

import pytest

from nae_tf.runs import disk


def test_an_atomic_write_that_fails_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "results.json"
    disk.write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        disk.write_atomically(path, "new \udc80")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]
