"""Rows of pieces in files of their own, and the folder that they become.

Workers write into a temporary folder, which is renamed when all are done:
there is a whole output, or none. A piece that is scored twice, because a worker
was lost or slow, replaces its own files.
"""

import collections
import csv
import dataclasses
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator

from nae_tf.runs.disk import explain_write_errors, flush_tree_to_disk
from nae_tf.serving.pieces import ROWS, Piece, Reading, open_piece
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.serving.score_files import FaultsFile, write_rows
from nae_tf.serving.scoring import Row, score_batches

SUFFIXES = (".csv", ".parquet")


@dataclasses.dataclass(frozen=True)
class Job:
    """What all workers have to know.

    Attributes:
        folder: temporary folder, which all of them can write.
        reading: how examples are read.
        suffix: format of the rows, one of `SUFFIXES`.
        false_alarm_rate: share of inliers that may be called outliers, in (0,
            1); None for that of the model's calibration.
        selects: whether rows are selected behind the scores, so that they stay
            texts until then.
    """

    folder: str
    reading: Reading
    suffix: str
    false_alarm_rate: float | None = None
    selects: bool = False


@dataclasses.dataclass(frozen=True)
class Summary:
    """What is known of the rows of some pieces.

    Attributes:
        num_rows: number of rows.
        num_unscored: number of rows without a score.
        ended_early: names of files whose rest could not be read.
        p_values: how many rows have a p-value, by p-value.
        shards: names of the files of rows.
    """

    num_rows: int = 0
    num_unscored: int = 0
    ended_early: tuple[str, ...] = ()
    p_values: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    shards: tuple[str, ...] = ()


def add_up(summaries: Iterable[Summary]) -> Summary:
    """Summarise all pieces of some summaries.

    Example:
        >>> from nae_tf.serving.shards import Summary, add_up
        >>> add_up([Summary(2, 1), Summary(3)]).num_rows
        5
    """
    some = list(summaries)
    p_values: collections.Counter = collections.Counter()
    for summary in some:
        p_values.update(summary.p_values)
    return Summary(
        sum(summary.num_rows for summary in some),
        sum(summary.num_unscored for summary in some),
        tuple(sorted(x for summary in some for x in summary.ended_early)),
        p_values,
        tuple(sorted(x for summary in some for x in summary.shards)),
    )


def score_piece(model: ExportedModel, job: Job, piece: Piece) -> Summary:
    """Write the rows of a piece, and the faults of its examples.

    An example that cannot be scored becomes a row of NaN, as by `nae-tf score
    --on_error=record`. Where a file cannot be read on, its rows end.

    Args:
        model: exported model that scores.
        job: where and how.
        piece: what is scored.

    Raises:
        OSError: if files cannot be read or written.
    """
    folder = pathlib.Path(job.folder)
    suffix = ".csv" if job.selects else job.suffix
    with tempfile.TemporaryDirectory(prefix=".attempt-", dir=folder) as name:
        attempt = pathlib.Path(name)
        faults = FaultsFile(attempt / f"faults-{piece.index:06d}", False)
        ended_early: list[str] = []
        summary = Summary()
        rows = _rows(model, job, piece, faults, ended_early)
        for number, some in enumerate(_groups(rows)):
            shard = f"rows-{piece.index:06d}-{number:06d}{suffix}"
            write_rows(attempt / shard, some)
            p_values = collections.Counter(
                float(row[2]) for row in some if row[1] != "nan"
            )
            unscored = len(some) - p_values.total()
            summary = add_up(
                [summary, Summary(len(some), unscored, (), p_values, (shard,))]
            )
        for path in attempt.iterdir():
            path.replace(folder / path.name)
    return dataclasses.replace(summary, ended_early=tuple(ended_early))


def _rows(model, job, piece, faults, ended_early) -> Iterator[list[Row]]:
    try:
        yield from score_batches(
            model,
            open_piece(model, job.reading, piece),
            [],
            faults.write,
            job.false_alarm_rate,
        )
    except ValueError as fault:
        title = piece.prefix.removesuffix(":") or piece.path
        faults.write(title, fault)
        ended_early.append(title)


def _groups(batches: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """Join batches of rows until they are worth a file."""
    some: list[Row] = []
    for rows in batches:
        some += rows
        if len(some) >= ROWS:
            yield some
            some = []
    if some:
        yield some


def select_rows(shard: str, job: Job, limit: float) -> str:
    """Write a file of rows anew, with the decisions of a selection.

    Args:
        shard: name of the file.
        job: where and how.
        limit: highest p-value that is selected. Rows without a score stay
            outliers.

    Returns:
        The name of the new file.
    """
    path = pathlib.Path(job.folder, shard)
    with path.open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        _, *rows = csv.reader(file)
    decided = [
        (*row[:3], str(int(row[1] == "nan" or float(row[2]) <= limit)))
        for row in rows
    ]
    new = path.with_name(path.name.replace("rows-", "selected-"))
    new = new.with_suffix(job.suffix)
    write_rows(new, decided)
    return new.name


def finish(
    job: Job, shards: Iterable[str], output: pathlib.Path
) -> pathlib.Path | None:
    """Turn the temporary folder into the output.

    Args:
        job: the finished job.
        shards: names of all files of rows, in order.
        output: folder that the temporary one becomes.

    Returns:
        The file of faults beside it, or None if there are no faults.

    Raises:
        OSError: if it cannot be written, or is there already.
        ValueError: if there are no rows; the message has the first fault.
    """
    folder = pathlib.Path(job.folder)
    faults = sorted(folder.glob("faults-*.csv"))
    beside = output.with_name(output.name + ".errors.csv")
    shards = list(shards)
    if not shards:
        raise ValueError(_first_fault(faults))
    with explain_write_errors(f"cannot write {str(output)!r}"):
        for number, name in enumerate(shards):
            part = f"part-{number:05d}-of-{len(shards):05d}"
            (folder / name).rename(folder / f"{part}{job.suffix}")
        beside.unlink(missing_ok=True)
        if faults:
            _join(faults, folder / "errors")
            (folder / "errors").rename(beside)
        for path in folder.iterdir():
            # Of workers that were lost.
            if not path.name.startswith("part-"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        flush_tree_to_disk(folder)
        os.rename(folder, output)
    return beside if faults else None


def _first_fault(files):
    with files[0].open(newline="", errors="surrogateescape") as file:
        _, (name, fault), *_ = csv.reader(file)
    return f"no example could be scored; the first fault is {name}: {fault}"


def _join(files, output):
    """Join files of faults, each of which has a line of names."""
    with output.open("wb") as out:
        for number, path in enumerate(files):
            names, rest = path.read_bytes().split(b"\n", 1)
            out.write(rest if number else names + b"\n" + rest)
