"""Blocks of whole lines of a text, so that files need not fit in memory."""

import codecs
import functools
import gzip
import sys
import zlib
from collections.abc import Iterator

import numpy as np

# Bytes that are read at a time, and the most that a line may have.
BLOCK = 2**22
_LONGEST_LINE = 2**24
# The first block is short: a producer may be slow, and names are needed first.
_FIRST_BLOCK = 2**16
_UTF_8_MARK = b"\xef\xbb\xbf"  # Spreadsheets begin with it.
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Files that are named as if they were text.
_OTHERS = {
    b"\x1f\x8b": "it is compressed by gzip; rename it to *.csv.gz",
    b"PK": "it is a zip archive, or a workbook of Excel; unpack it, or save it "
    "as CSV",
    b"PAR1": "it is a Parquet file; rename it to *.parquet",
    b"ARROW1": "it is an Arrow file; rename it to *.arrow",
    b"\x89HDF": "it is an HDF5 file; rename it to *.h5",
    b"\xd0\xcf\x11\xe0": "it is a workbook of Excel; save it as CSV",
    b"SQLite": "it is a database of SQLite; export a table as CSV",
}


def line_blocks(title, path) -> Iterator[bytes]:
    """Read a text file as UTF-8, in blocks that end at the end of a line.

    Args:
        title: name of the text, used in error messages.
        path: path of the file, which may be compressed by gzip and named so,
            or "-" for standard input.

    Yields:
        UTF-8 without a byte order mark. No field in double quotes is cut.

    Raises:
        ValueError: if it is not text.
    """
    rest = b""
    with _open(path) as file:
        # Of a pipe, what there is; of a file, whole lines if LF ends them.
        if path == "-":
            read = file.read1
        else:
            read = functools.partial(_read_lines, file)
        for octets in _octets(title, file, read):
            if b"\0" in octets:
                raise ValueError(
                    f"{title} is not a CSV file: it has zero bytes; "
                    f"{_what_it_is(rest or octets)}."
                )
            rest += octets
            end = _end_of_lines(rest)
            if end:
                yield rest[:end]
            rest = rest[end:]
            if len(rest) > _LONGEST_LINE:
                raise ValueError(
                    f"{title} is not a CSV file: no line ends within "
                    f"{_LONGEST_LINE} bytes; a quote may be left open."
                )
    if rest:
        yield rest


def count_lines(block: bytes) -> int:
    """Count the ends of lines, which are CR, LF or both."""
    ends = _count(block, b"\n")
    if b"\r" in block:
        ends += block.count(b"\r") - block.count(b"\r\n")
    return ends


def _count(octets, mark):
    """Count a byte, in a sixth of the time of bytes.count."""
    return np.count_nonzero(np.frombuffer(octets, np.uint8) == ord(mark))


def _what_it_is(start):
    """What to do about a file that is no text, by its first bytes."""
    return next(
        (hint for mark, hint in _OTHERS.items() if start.startswith(mark)),
        "text in UTF-16 must begin with a byte order mark",
    )


def _open(path):
    if path == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    if path.suffix.lower() == ".gz":
        return gzip.open(path)
    return path.open("rb")


def _read_lines(file, size):
    return file.read(size) + file.readline(_LONGEST_LINE)


def _octets(title, file, read):
    """Yield pieces of UTF-8 of a file that may begin with a mark."""
    size = _FIRST_BLOCK
    try:
        start = file.read(size)
        if start.startswith(_UTF_16_MARKS):
            yield from _from_utf_16(title, start, read)
            return
        octets = start.removeprefix(_UTF_8_MARK)
        while octets:
            yield octets
            octets = read(BLOCK)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{title} is not a gzip file: {error}.") from error


def _from_utf_16(title, start, read):
    decode = codecs.getincrementaldecoder("utf-16")().decode
    try:
        octets = start
        while octets:
            yield decode(octets).encode()
            octets = read(BLOCK)
        decode(b"", final=True)
    except UnicodeError as error:
        raise ValueError(
            f"{title} begins as UTF-16, but is not: {error}."
        ) from error


def _end_of_lines(octets):
    """Return where the last line ends that is not within quotes, or 0."""
    if b"\n" in octets:
        mark, stop = b"\n", len(octets)
    else:
        # A CR at the very end may be the first half of CR LF.
        mark, stop = b"\r", len(octets) - 1
    end = octets.rfind(mark, 0, stop) + 1
    has_quotes = b'"' in octets
    is_quoted = has_quotes and _count(memoryview(octets)[:end], b'"') % 2 == 1
    while end and is_quoted:
        earlier = octets.rfind(mark, 0, end - 1) + 1
        is_quoted ^= octets.count(b'"', earlier, end) % 2 == 1
        end = earlier
    return end
