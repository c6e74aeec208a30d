"""Rows of pieces, as workers write them: whole, once, in order."""

import csv
import sys
import types

import numpy as np
import pytest
import scipy.stats
from data_files import write_tfrecord

from nae_tf.serving import beam_command, shards
from nae_tf.serving.pieces import Reading, make_plan
from nae_tf.serving.selection import selection_limit
from nae_tf.serving.shards import (
    Job,
    add_up,
    finish,
    score_piece,
    select_rows,
)


def scores(x):
    """Read energy, p-value and decision off the examples."""
    if np.isnan(x).any():
        raise ValueError("NaN")
    return {
        "energy": x[:, 0],
        "p_value": x[:, 1],
        "is_outlier": x[:, 2] > 0,
    }


MODEL = types.SimpleNamespace(example_shape=(3,), schema=None, score=scores)


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROWS", 8)
    (tmp_path / "in").mkdir()
    (tmp_path / "folder").mkdir()
    reading = Reading(f"{tmp_path}/in/*", batch_size=4)
    return Job(str(tmp_path / "folder"), reading, ".csv")


def examples(count, seed):
    rng = np.random.default_rng(seed)
    p_values = rng.integers(1, 51, count) / 50
    columns = [rng.normal(size=count), p_values, rng.choice([-1, 1], count)]
    return np.stack(columns, axis=1).astype(np.float32)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def rows_of_parts(folder):
    parts = [rows_of(path) for path in sorted(folder.iterdir())]
    return [row for part in parts for row in part[1:]]


def expected(name, x):
    for number, (energy, p_value, sign) in enumerate(x):
        yield [
            f"{name}:{number}",
            str(energy),
            str(p_value),
            str(int(sign > 0)),
        ]


def test_a_piece_that_is_scored_twice_is_written_once(job, tmp_path):
    files = {"a.tfrecord": examples(19, 0), "b.tfrecord": examples(5, 1)}
    for name, x in files.items():
        write_tfrecord(tmp_path / "in" / name, [{"x": row} for row in x])
    pieces = make_plan(MODEL, job.reading).pieces
    summaries = [score_piece(MODEL, job, piece) for piece in pieces]
    assert score_piece(MODEL, job, pieces[0]) == summaries[0]
    # What a worker leaves that is killed.
    (tmp_path / "folder" / ".attempt-x").mkdir()
    (tmp_path / "folder" / ".attempt-x" / "rows-000000-000000.csv").touch()
    total = add_up(reversed(summaries))
    assert (total.num_rows, total.num_unscored) == (24, 0)
    assert finish(job, total.shards, tmp_path / "out.csv") is None
    rows = rows_of_parts(tmp_path / "out.csv")
    assert rows == [row for item in files.items() for row in expected(*item)]
    # Two batches of four to a file, from each input.
    assert [path.name for path in sorted((tmp_path / "out.csv").iterdir())] == [
        f"part-{number:05}-of-00004.csv" for number in range(4)
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out.csv"}


def test_a_selection_is_that_of_all_rows(job, tmp_path):
    x = examples(60, 2)
    x[::6, 1] = 0.02
    x[10, 0] = np.nan
    np.save(tmp_path / "in" / "a.npy", x[:40])
    np.save(tmp_path / "in" / "b.npy", x[40:])
    job = Job(job.folder, job.reading, ".csv", selects=True)
    pieces = make_plan(MODEL, job.reading).pieces
    total = add_up(score_piece(MODEL, job, piece) for piece in pieces)
    assert (total.num_rows, total.num_unscored) == (60, 1)
    limit = selection_limit(total.p_values, 0.3)
    selected = sorted(select_rows(shard, job, limit) for shard in total.shards)
    faults = finish(job, selected, tmp_path / "out.csv")
    rows = rows_of_parts(tmp_path / "out.csv")
    scored = np.arange(60) != 10
    adjusted = scipy.stats.false_discovery_control(x[scored, 1])
    decisions = np.array([row[3] == "1" for row in rows])
    np.testing.assert_array_equal(
        decisions[scored], adjusted <= 0.3 * (1 + 1e-6)
    )
    assert 0 < decisions[scored].sum() < 59
    assert rows[10] == ["a.npy:10", "nan", "nan", "1"]
    assert [row[0] for row in rows_of(faults)] == ["id", "a.npy:10"]


def test_without_rows_there_is_no_output_and_the_first_fault_is_told(
    job, tmp_path
):
    (tmp_path / "in" / "a.csv").write_text("5,2,3\n4,5\n")
    [piece] = make_plan(MODEL, job.reading).pieces
    summary = score_piece(MODEL, job, piece)
    assert summary.ended_early == ("a.csv",) and not summary.shards
    with pytest.raises(ValueError, match=r"first fault is a.csv: .*line 2"):
        finish(job, summary.shards, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_missing_beam_is_told_in_a_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delattr("nae_tf.serving.beam", raising=False)
    for name in ("beam", "beam_handler"):
        monkeypatch.delitem(
            sys.modules, f"nae_tf.serving.{name}", raising=False
        )
    with pytest.raises(ModuleNotFoundError, match=r"nae-tf\[beam\]") as fault:
        beam_command.main()
    assert "\n" not in str(fault.value)
