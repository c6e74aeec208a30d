"""JSON that is damaged, or made to do damage, is refused in one line."""

import hashlib
import json

import numpy as np
import pytest

from nae_tf.data.schema import Schema, SetRecord
from nae_tf.runs.checkpoints import DamagedCheckpointError, verified
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.monitor import Monitor

CALIBRATION = Calibration(np.linspace(0.0, 1.0, 20))
READERS = {
    "calibration": Calibration.from_json,
    "schema": Schema.from_json,
    "monitor": lambda text: Monitor.from_json(text, CALIBRATION),
}
WHOLE = {
    "calibration": CALIBRATION.to_json(),
    "schema": Schema(
        (4,),
        names=("a", "b", "c", "d"),
        sets={"training": SetRecord(2, "ff")},
        files={"a.csv": 2},
    ).to_json(),
    "monitor": Monitor(CALIBRATION).to_json(),
}
TEXTS = {
    "nothing": "",
    "half": '{"scores": [1',
    "deep lists": "[" * 100_000,
    "deep dictionaries": '{"scores":' * 100_000,
    "null": "null",
    "a list": "[1, 2]",
    "a name of two lines": '{"scores\\nand more": [1.0]}',
    "a digit for every atom": '{"scores": [%s]}' % ("9" * 5_000),
    "more than any float": '{"scores": [%s]}' % ("9" * 400),
}
# What stands in the place of every value, one by one.
VALUES = ["x", -1, 10**400, float("inf"), None, [], {}, [[1]], {"a": 1}, True]


def one_line(call, text):
    """Read a text that may be refused, but by nothing except one line."""
    try:
        return call(text)
    except ValueError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 600
        return None


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_file_of_ours(kind, text):
    assert one_line(READERS[kind], text) is None


@pytest.mark.parametrize("kind", READERS)
def test_every_value_in_the_place_of_every_other(kind):
    whole = json.loads(WHOLE[kind])
    assert READERS[kind](WHOLE[kind]) is not None
    for name in whole:
        for value in VALUES:
            one_line(READERS[kind], json.dumps({**whole, name: value}))
        rest = {other: whole[other] for other in whole if other != name}
        one_line(READERS[kind], json.dumps(rest))


def write_manifest(folder, progress, files):
    """A manifest whose own digest is right."""
    body = {"progress": progress, "files": files}
    text = json.dumps(body, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(
        json.dumps({"sha256": digest, "body": body})
    )


def test_a_manifest_names_files_beside_it_alone(tmp_path, monkeypatch):
    (tmp_path / "1").mkdir()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    write_manifest(tmp_path / "1", {}, {})
    assert verified(tmp_path / "1").progress.epoch == 0
    for name in ("../secret", str(secret), "/dev/zero", ""):
        write_manifest(tmp_path / "1", {}, {name: digest})
        with pytest.raises(DamagedCheckpointError, match="cannot be read"):
            verified(tmp_path / "1")


@pytest.mark.parametrize(
    "progress",
    [
        {"epoch": "1"},
        {"step": -1},
        {"records": {"metrics.csv": "all"}},
        {"records": []},
        {"best_epoch": [1]},
        {"unknown": 1},
        [],
    ],
)
def test_progress_of_other_types_is_damage(progress, tmp_path):
    write_manifest(tmp_path, progress, {})
    with pytest.raises(DamagedCheckpointError, match="cannot be read"):
        verified(tmp_path)
