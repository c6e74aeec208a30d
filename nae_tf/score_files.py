"""Files of scores: written row by row, and whole under their name only."""

import csv
import importlib.util
import io
import os
import pathlib
from typing import Any

import numpy as np

COLUMNS = ("id", "energy", "p_value", "is_outlier")
_SUFFIXES = (".csv", ".npz", ".parquet")


class PartialFile:
    """The rows of an unfinished command, in OUTPUT.partial.

    Attributes:
        rows: what an earlier command wrote, without an unfinished line.
        writer: appends further rows.
    """

    def __init__(self, output: pathlib.Path):
        """Check the name; nothing is opened yet.

        Raises:
            FileExistsError: the output is there already.
            ValueError: its name has another suffix, or none.
            ModuleNotFoundError: .parquet needs pyarrow.
        """
        if output.suffix not in _SUFFIXES:
            raise ValueError(
                f"expected an --output named {', '.join(_SUFFIXES)} or -, "
                f"received {str(output)!r}."
            )
        if output.suffix == ".parquet" and not _has_pyarrow():
            raise ModuleNotFoundError(
                "Parquet files need pyarrow; pip install 'nae-tf[parquet]', or "
                "choose an --output named .csv."
            )
        if output.exists():
            raise FileExistsError(
                f"{str(output)!r} exists already; remove it or choose another "
                "--output."
            )
        self._path = partial_path(output)

    def __enter__(self):
        """Open the file behind its last whole line."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "a+", newline="", encoding="utf-8")
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind("\n") + 1]
        self._file.truncate(len(whole.encode()))
        self.writer = csv.writer(self._file, lineterminator="\n")
        if not whole:
            self.writer.writerow(COLUMNS)
        lines = list(csv.reader(io.StringIO(whole, newline="")))
        if lines and tuple(lines[0]) != COLUMNS:
            raise ValueError(
                f"{str(self._path)!r} is no unfinished output; remove it."
            )
        self.rows = [tuple(line) for line in lines[1:]]
        return self

    def __exit__(self, *exception):
        self._file.close()

    def flush(self):
        """Hand what is written over to the system."""
        self._file.flush()


def partial_path(output: pathlib.Path) -> pathlib.Path:
    """Return where the rows of an unfinished command are."""
    return output.with_name(output.name + ".partial")


def finish(output: pathlib.Path):
    """Turn the partial file into the output, in the format of its name."""
    partial = partial_path(output)
    if output.suffix == ".csv":
        partial.rename(output)
        return
    with partial.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines)
        columns = list(zip(*lines, strict=True)) or [()] * len(COLUMNS)
    arrays: dict[str, Any] = {
        "id": np.array(columns[0], str),
        "energy": np.array(columns[1], np.float64),
        "p_value": np.array(columns[2], np.float64),
        "is_outlier": np.array(columns[3], int).astype(bool),
    }
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            if output.suffix == ".npz":
                np.savez_compressed(file, **arrays)
            else:
                _write_parquet(file, arrays)
        temporary.rename(output)
    finally:
        temporary.unlink(missing_ok=True)
    partial.unlink()


def _write_parquet(file, arrays):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(arrays), file)


def _has_pyarrow():
    return importlib.util.find_spec("pyarrow") is not None
