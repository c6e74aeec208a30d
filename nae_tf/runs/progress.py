"""Progress on the terminal: bars with the time left, or nothing if quiet.

Progress goes to standard error, results to standard output. Where standard
error is not a terminal there are lines instead of bars: one per epoch of a
training, otherwise one every half a minute.
"""

import io
import os
import sys

from absl import flags
from tqdm import tqdm

_display = {"quiet": False, "color": False}

_SECONDS_BETWEEN_LINES = 30.0


def define_progress_flags():
    """Define --quiet and --nocolor, which every command line has."""
    flags.DEFINE_bool("quiet", False, "Print results and errors only.")
    flags.DEFINE_bool(
        "color",
        "NO_COLOR" not in os.environ,
        "Use colours where standard error is a terminal.",
    )


def use_progress_flags():
    """Apply the flags to all output from now on."""
    _display["quiet"] = flags.FLAGS.quiet
    _display["color"] = flags.FLAGS.color and sys.stderr.isatty()


def print_status(text: str):
    """Print a line of status to standard error, unless quiet."""
    if not _display["quiet"]:
        print(text, file=sys.stderr, flush=True)


def warning_line(
    message, category, filename, lineno: int, line: str | None = None
) -> str:
    """Write a warning as one line, without its place in the code.

    Args:
        message: the warning.
        category: its class. This and the rest is ignored; they are what
            `warnings.formatwarning` is given.
        filename: file of its place.
        lineno: number of its line.
        line: text of that line.
    """
    return f"warning: {' '.join(str(message).split())}\n"


def error_line(text: str) -> str:
    """Return an error message in the form for the terminal."""
    label = "\x1b[1;31merror:\x1b[0m" if _display["color"] else "error:"
    return f"{label} {text}"


class _LogLines(tqdm):
    """Progress as a line now and then, for logs."""

    def __init__(self, total, unit, title, initial):
        line = "{desc}{n_fmt}/{total_fmt} {unit}s  ({remaining} left)"
        super().__init__(
            total=total,
            unit=unit,
            desc=f"{title}: " if title else None,
            initial=initial,
            # The output of tqdm itself is for terminals.
            file=io.StringIO(),
            leave=False,
            mininterval=_SECONDS_BETWEEN_LINES,
            maxinterval=_SECONDS_BETWEEN_LINES,
            bar_format=line if total else "{desc}{n_fmt} {unit}s",
        )

    def display(self, msg=None, pos=None):
        """Print the line, except at the beginning and at the end."""
        if msg is None and self.n > self.initial:
            print_status(str(self))


def progress_bar(total: int | None, unit: str, title: str = "", initial=0):
    """Return a bar that shows the time left; `bar.update(n)` moves it.

    With --quiet it shows nothing. Where standard error is not a terminal it
    prints lines.

    Args:
        total: number of units; None if it is not known.
        unit: name of a unit, in the singular.
        title: text before the bar.
        initial: number of units that are done already.
    """
    if not sys.stderr.isatty() and not _display["quiet"]:
        return _LogLines(total, unit, title, initial)
    return terminal_bar(total, unit, title, initial)


def terminal_bar(total: int | None, unit: str, title: str, initial: int):
    """Return a `progress_bar` that shows nothing where there is no terminal."""
    return tqdm(
        total=total,
        unit=unit,
        desc=title or None,
        initial=initial,
        # None means no bar where standard error is not a terminal.
        disable=True if _display["quiet"] else None,
        colour="green" if _display["color"] else None,
        dynamic_ncols=True,
    )
