"""The energies that a monitor watches: of score files, or of examples."""

import csv
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np

from nae_tf.serving.calibration import Calibration
from nae_tf.serving.saved_model import refuse_other_formats
from nae_tf.serving.score_files import COLUMNS

# Share of p-values of a file that may differ from the calibration's: scores
# that tie with a calibration score do, in single precision.
_MAX_DIFFERENT = 0.01
_ROWS = 65_536


def read_calibration(model) -> Calibration:
    """Read the calibration of an export.

    Args:
        model: directory of a version.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or the model is for another runtime.
    """
    path = pathlib.Path(model) / "assets.extra" / "calibration.json"
    if not path.is_file():
        refuse_other_formats(pathlib.Path(model))
        raise FileNotFoundError(
            f"{str(path)!r} is missing; name the folder of a version that "
            "nae-tf export wrote, as runs/digits/export/1."
        )
    try:
        return Calibration.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from error


def open_scores(
    path: str, calibration: Calibration
) -> Iterator[np.ndarray] | None:
    """Open a file that nae-tf score wrote.

    Args:
        path: path of a .csv, .npz or .parquet file.
        calibration: calibration of the model that scored.

    Returns:
        Iterator over energies, float64 [number], NaN where there is no score;
        or None if the file is something else.

    Raises:
        ValueError: when the iterator meets damage, or p-values of another
            calibration.
    """
    file = pathlib.Path(path)
    read = _READERS.get(file.suffix.lower()) if file.is_file() else None
    pieces = None if read is None else read(file)
    if pieces is None:
        return None
    return (_checked(path, calibration, *piece) for piece in pieces)


def _checked(path, calibration, energies, p_values):
    """Return energies whose p-values are those of the calibration."""
    scored = ~np.isnan(energies)
    expected = calibration.p_values(energies[scored])
    differ = ~np.isclose(p_values[scored], expected, rtol=1e-4)
    if np.sum(differ) > max(_MAX_DIFFERENT * len(differ), 1):
        raise ValueError(
            f"{path}: its p-values are those of another model or calibration; "
            "name the version that scored by --model."
        )
    return energies


def _read_csv(path):
    try:
        with path.open(newline="", encoding="utf-8") as file:
            first = next(csv.reader(file), None)
    except UnicodeDecodeError:
        return None
    return _csv_pieces(path) if first == list(COLUMNS) else None


def _csv_pieces(path):
    with path.open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        lines = csv.reader(file)
        next(lines)
        while rows := list(itertools.islice(lines, _ROWS)):
            try:
                numbers = [(float(row[1]), float(row[2])) for row in rows]
            except (IndexError, ValueError) as error:
                raise ValueError(
                    f"{path}, before line {lines.line_num}: expected rows of "
                    f"{', '.join(COLUMNS)}, as nae-tf score writes them."
                ) from error
            yield np.array(numbers).T


def _read_npz(path):
    try:
        arrays = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    if set(arrays) != set(COLUMNS):
        return None
    return iter([(arrays["energy"], arrays["p_value"])])


def _read_parquet(path):
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException):
        return None
    if file.schema_arrow.names != list(COLUMNS):
        return None
    return (
        (batch["energy"].to_numpy(), batch["p_value"].to_numpy())
        for batch in file.iter_batches(_ROWS, columns=["energy", "p_value"])
    )


_READERS = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}
