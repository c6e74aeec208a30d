"""Progress on the terminal: bars with the time left, and being quiet.

Progress goes to standard error, results to standard output. Where standard
error is no terminal there are lines instead of bars: one an epoch of a
training, one every half a minute of anything else.
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
    """Let the flags decide from now on."""
    _display["quiet"] = flags.FLAGS.quiet
    _display["color"] = flags.FLAGS.color and sys.stderr.isatty()


def print_status(text: str):
    """Print a line about what goes on to standard error, but not if quiet."""
    if not _display["quiet"]:
        print(text, file=sys.stderr, flush=True)


def error_line(text: str) -> str:
    """Return an error message as it goes to the terminal."""
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
            # What tqdm itself writes is made for terminals.
            file=io.StringIO(),
            leave=False,
            mininterval=_SECONDS_BETWEEN_LINES,
            maxinterval=_SECONDS_BETWEEN_LINES,
            bar_format=line if total else "{desc}{n_fmt} {unit}s",
        )

    def display(self, msg=None, pos=None):
        """Print the line, but not that of the beginning or of the end."""
        if msg is None and self.n > self.initial:
            print_status(str(self))


def progress_bar(total: int | None, unit: str, title: str = "", initial=0):
    """Return a bar that shows the time left; update it by `bar.update(n)`.

    It shows nothing if it is to be quiet, and lines where standard error is no
    terminal.

    Args:
        total: how many units there are, None if that is not known.
        unit: what is counted.
        title: stands before the bar.
        initial: units that are done already.
    """
    if not sys.stderr.isatty() and not _display["quiet"]:
        return _LogLines(total, unit, title, initial)
    return _terminal_bar(total, unit, title, initial)


def _terminal_bar(total, unit, title, initial):
    return tqdm(
        total=total,
        unit=unit,
        desc=title or None,
        initial=initial,
        # None means: nothing where standard error is no terminal.
        disable=True if _display["quiet"] else None,
        colour="green" if _display["color"] else None,
        dynamic_ncols=True,
    )
