"""Signals that come before a training can handle them."""

import signal
import sys

# EX_TEMPFAIL of sysexits.h: "try again later".
EXIT_INTERRUPTED = 75


def end_by_first_signals():
    """Let SIGTERM and SIGINT end this process with `EXIT_INTERRUPTED`.

    Importing TensorFlow and reading data take seconds, in which nothing is
    there to be saved. A scheduler that takes the status for "again, please"
    has to see it then, too.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(*unused):
    sys.exit(EXIT_INTERRUPTED)
