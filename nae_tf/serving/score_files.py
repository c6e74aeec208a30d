"""Files of scores: written row by row, renamed when they are complete."""

import contextlib
import csv
import importlib.util
import io
import itertools
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nae_tf.runs.disk import (
    explain_write_errors,
    flush_to_disk,
    replaced_atomically,
)
from nae_tf.runs.locks import ProcessLock

COLUMNS = ("id", "energy", "p_value", "is_outlier")
# Rows that are held as texts at once.
_GROUP = 2**16


class PartialFile:
    """The rows of an unfinished command, in OUTPUT.partial.

    Only one process writes them: a lock of the operating system keeps others
    out.

    Attributes:
        rows: rows of an earlier command, without an unfinished line.
    """

    def __init__(self, output: pathlib.Path):
        """Check the name; nothing is opened yet.

        Raises:
            FileExistsError: if the output is there already.
            ValueError: if its name has another suffix, or none.
            ModuleNotFoundError: if pyarrow is needed and not installed.
        """
        if output.suffix not in _WRITERS:
            raise ValueError(
                f"expected an --output named {', '.join(_WRITERS)} or -, "
                f"received {str(output)!r}."
            )
        if output.suffix == ".parquet" and not _has_pyarrow():
            raise ModuleNotFoundError(
                "Parquet files need pyarrow; pip install 'nae-tf[parquet]', or "
                "choose an --output named .csv."
            )
        self._output = output
        self._path = partial_path(output)
        self._lock = ProcessLock(output.with_name(f".{output.name}.lock"))
        self._refuse_finished()

    def __enter__(self):
        """Open the file behind its last whole line.

        Raises:
            BlockingIOError: if another process writes it.
            OSError: if it cannot be written.
            ValueError: if it is not an unfinished output.
        """
        with self._writing():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            is_ours = self._lock.acquire()
        if not is_ours:
            raise BlockingIOError(
                f"{str(self._output)!r} is being written by another process; "
                f"wait until {self._lock.holder()} has ended, or choose "
                "another --output."
            )
        with contextlib.ExitStack() as opened:
            opened.callback(self._unlock)
            # Another process may have finished it meanwhile.
            self._refuse_finished()
            self._file = opened.enter_context(self._open())
            # Cut as bytes: the file may end within a character.
            octets = self._path.read_bytes()
            whole = octets[: octets.rfind(b"\n") + 1]
            self.rows = self._rows(whole)
            with self._writing():
                self._file.truncate(len(whole))
            self._writer = csv.writer(self._file, lineterminator="\n")
            if not whole:
                self.write([COLUMNS])
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind, *others):
        with self._opened:
            if kind is None:
                self._file.close()

    @contextlib.contextmanager
    def _open(self):
        with self._writing():
            # Names of files need not be UTF-8; they are written as they are.
            file = open(  # noqa: SIM115
                self._path,
                "a",
                newline="",
                encoding="utf-8",
                errors="surrogateescape",
            )
        try:
            yield file
        finally:
            # Closing fails again where writing has failed.
            with contextlib.suppress(OSError):
                file.close()

    def _unlock(self):
        self._lock.release()
        if self._output.exists():
            # Whoever has the lock next finds the output, and gives up.
            self._lock.delete()

    def _refuse_finished(self):
        if self._output.exists():
            raise FileExistsError(
                f"{str(self._output)!r} exists already; remove it or choose "
                "another --output."
            )

    def _rows(self, octets):
        text = octets.decode("utf-8", errors="surrogateescape")
        lines = list(csv.reader(io.StringIO(text, newline="")))
        for number, line in enumerate(lines, start=1):
            is_row = len(line) == len(COLUMNS)
            if not is_row or (number == 1 and tuple(line) != COLUMNS):
                raise ValueError(
                    f"{str(self._path)!r}, line {number}: this is not an "
                    "unfinished output; remove it, or choose another --output."
                )
        return [tuple(line) for line in lines[1:]]

    def write(self, rows: Iterable[tuple]):
        """Append rows and flush them to the operating system.

        Args:
            rows: texts by column, in the order of `COLUMNS`.

        Raises:
            OSError: if they cannot be written, as on a full disk.
        """
        with self._writing():
            self._writer.writerows(rows)
            self._file.flush()

    def _writing(self):
        return explain_write_errors(
            f"cannot write {str(self._path)!r}",
            "give the same command again: it continues after the rows that "
            "are there",
        )

    def finish(self):
        """Turn the rows into the output, in the format of its name.

        Raises:
            OSError: if it cannot be written; the rows stay.
        """
        with self._writing():
            self._file.flush()
            if self._output.suffix == ".csv":
                os.fsync(self._file.fileno())
                self._path.rename(self._output)
            else:
                _convert(self._path, self._output)
                # The output is whole: rows that cannot be deleted do no harm.
                with contextlib.suppress(OSError):
                    self._path.unlink()
            flush_to_disk(self._output.parent)


class FaultsFile:
    """The examples that have no score, in OUTPUT.errors.csv, and why.

    Attributes:
        count: number of examples that were written.
    """

    def __init__(self, output: pathlib.Path, goes_on: bool):
        """Prepare the file, which is written at the first fault.

        Args:
            output: file of scores.
            goes_on: whether the faults of an earlier command stay.
        """
        self.path = output.with_name(output.name + ".errors.csv")
        self.count = 0
        if not goes_on:
            self.path.unlink(missing_ok=True)

    def write(self, name: str, fault: Exception):
        """Append an example and why it has no score.

        Raises:
            OSError: if it cannot be written, as on a full disk.
        """
        self.count += 1
        with (
            explain_write_errors(
                f"cannot write {str(self.path)!r}", "give the command again"
            ),
            self.path.open(
                "a", newline="", encoding="utf-8", errors="surrogateescape"
            ) as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(("id", "error"))
            writer.writerow((name, str(fault)))


def partial_path(output: pathlib.Path) -> pathlib.Path:
    """Return the path of the rows of an unfinished command."""
    return output.with_name(output.name + ".partial")


def _convert(partial, output):
    with partial.open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        lines = csv.reader(file)
        next(lines)
        write_rows(output, lines)


def write_rows(output: pathlib.Path, rows: Iterable[Sequence[str]]):
    """Write rows at once, in the format of the file's name.

    Args:
        output: path ending in .csv, .npz or .parquet; another file is replaced.
        rows: texts by column, in the order of `COLUMNS`. Of an iterator, 65,536
            at most are held at once as texts.

    Raises:
        OSError: if they cannot be written.
    """
    with replaced_atomically(output) as file:
        _WRITERS[output.suffix](file, rows)


def _write_csv(file, rows):
    text = io.TextIOWrapper(
        file, encoding="utf-8", errors="surrogateescape", newline=""
    )
    csv.writer(text, lineterminator="\n").writerows(
        itertools.chain([COLUMNS], rows)
    )
    text.detach()  # Which writes what is left, and lets the file open.


def _write_npz(file, rows):
    groups = list(_groups(rows)) or [_columns([])]
    columns: dict[str, Any] = {
        name: np.concatenate([group[name] for group in groups])
        for name in COLUMNS
    }
    np.savez_compressed(file, **columns)


def _write_parquet(file, rows):
    import pyarrow
    import pyarrow.parquet

    types = (
        pyarrow.string(),
        pyarrow.float64(),
        pyarrow.float64(),
        pyarrow.bool_(),
    )
    schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for columns in _groups(rows):
            # Strings of Parquet are UTF-8; other bytes become text, as \xff.
            ids = [
                name.encode(errors="surrogateescape").decode(
                    errors="backslashreplace"
                )
                for name in columns["id"]
            ]
            writer.write_table(pyarrow.table(columns | {"id": ids}, schema))


def _groups(rows):
    """Yield the columns of some rows after the other."""
    rows = iter(rows)
    while group := list(itertools.islice(rows, _GROUP)):
        yield _columns(group)


def _columns(rows) -> dict[str, Any]:
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return {
        "id": np.array(columns[0], str),
        "energy": np.array(columns[1], np.float64),
        "p_value": np.array(columns[2], np.float64),
        "is_outlier": np.array(columns[3], int).astype(bool),
    }


_WRITERS = {
    ".csv": _write_csv,
    ".npz": _write_npz,
    ".parquet": _write_parquet,
}


def _has_pyarrow():
    return importlib.util.find_spec("pyarrow") is not None
