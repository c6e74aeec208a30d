"""Watch whether what a model is served is still what it was calibrated with.

    nae-tf monitor --model=export/1 --input=scores.csv --state=watch.json

Takes a file of scores, or examples to score, and adds them to the watch that
--state keeps. The exit status is 0, or 2 once the watch has given an alarm.
If inliers arrive for ever, the probability that it ever does is at most
--level. An interrupted command has added nothing.
"""

import contextlib
import hashlib
import itertools
import pathlib
import sys

import numpy as np
from absl import flags

from nae_tf.evaluation.monitor_page import monitor_page
from nae_tf.runs.command_line import run_command
from nae_tf.runs.disk import write_atomically
from nae_tf.runs.locks import ProcessLock
from nae_tf.runs.progress import print_status, progress_bar
from nae_tf.serving.input_flags import (
    define_model_flags,
    define_reading_flags,
    open_input,
    open_model,
)
from nae_tf.serving.monitor import Monitor
from nae_tf.serving.scoring import score_batches
from nae_tf.serving.watched import open_scores, read_calibration

ALARM_STATUS = 2


def define_flags():
    """Define the flags of a watch."""
    define_model_flags()
    flags.DEFINE_string(
        "input",
        None,
        "What was served: a file that nae-tf score wrote, or examples as that "
        "command takes them.",
        required=True,
    )
    flags.DEFINE_string(
        "state",
        None,
        "The file of the watch, ending in .json. It is begun if it is missing.",
        required=True,
    )
    flags.DEFINE_string(
        "page",
        None,
        "A file ending in .html for a page of the whole course.",
    )
    flags.DEFINE_float(
        "level",
        0.01,
        "The probability that the watch ever gives an alarm while all are "
        "inliers, at most. It is chosen when a watch begins.",
    )
    flags.DEFINE_integer(
        "seed",
        0,
        "The seed of ties. It is chosen when a watch begins.",
        lower_bound=0,
    )
    define_reading_flags()


def main():
    """Add what --input names to the watch that --state keeps."""
    options = flags.FLAGS
    state, page = pathlib.Path(options.state), options.page
    _check_name("state", state, ".json")
    if page is not None:
        _check_name("page", pathlib.Path(page), ".html")
    calibration = read_calibration(options.model)
    state.parent.mkdir(parents=True, exist_ok=True)
    lock = ProcessLock(state.with_name(f".{state.name}.lock"))
    if not lock.acquire():
        raise BlockingIOError(
            f"{str(state)!r} is being changed by another process; wait until "
            f"{lock.holder()} has ended."
        )
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)
        monitor = _monitor(options, state, calibration)
        if not _add(options, monitor, calibration):
            print_status(
                f"note: the scores of {options.input} are in the watch "
                "already; they are not counted twice."
            )
            monitor = _monitor(options, state, calibration)
        if page is not None:
            write_atomically(
                pathlib.Path(page), monitor_page(monitor, options.model)
            )
        # Written last: what failed before has added nothing.
        write_atomically(state, monitor.to_json())
    print(_verdict(monitor))
    if monitor.alarm_at is not None:
        sys.stdout.flush()
        sys.exit(ALARM_STATUS)


def _check_name(flag, path, suffix):
    if path.suffix != suffix:
        raise ValueError(
            f"expected a --{flag} named *{suffix}, received {str(path)!r}."
        )


def _monitor(options, state, calibration):
    if not state.exists():
        return Monitor(calibration, options.level, seed=options.seed)
    try:
        monitor = Monitor.from_json(
            state.read_text(encoding="utf-8"), calibration
        )
    except ValueError as error:
        raise ValueError(f"{str(state)!r}: {error}") from error
    if options["level"].present and options.level != monitor.level:
        raise ValueError(
            f"{str(state)!r} has the level {monitor.level:g}, not "
            f"{options.level:g}; leave --level out, or begin another watch."
        )
    return monitor


def _add(options, monitor, calibration):
    """Add the energies of the input; return whether they are new."""
    digest = hashlib.sha256()
    count = 0
    energies = _energies(options, calibration)
    for some in _regrouped(energies, options.batch_size):
        digest.update(some.tobytes())
        count += len(some)
        monitor.update(some)
    if not count:
        raise ValueError(f"{options.input} holds no examples.")
    return monitor.is_new_input(digest.hexdigest())


def _energies(options, calibration):
    scores = open_scores(options.input, calibration)
    if scores is not None:
        yield from scores
        return
    model = open_model(options)
    stream = open_input(model, options)
    with progress_bar(stream.size, "example") as bar:
        for rows in score_batches(model, stream, [], _print_fault):
            # As text and back: the numbers of a file of scores.
            yield np.array([float(row[1]) for row in rows])
            bar.update(len(rows))


def _regrouped(pieces, batch_size):
    numbers = itertools.chain.from_iterable(pieces)
    while batch := list(itertools.islice(numbers, batch_size)):
        yield np.array(batch, np.float64)


def _print_fault(name, fault):
    print_status(f"note: example {name} has no score: {fault}")


def _verdict(monitor):
    count = str(monitor.count)
    if monitor.unscored:
        count += f" (and {monitor.unscored} without a score)"
    wealth = (
        f"evidence of a change 10^{monitor.log10_wealth:.1f}, at most "
        f"10^{monitor.log10_highest:.1f}"
    )
    if monitor.alarm_at is None:
        limit = -np.log10(monitor.level)
        return f"no alarm: {count} examples; {wealth}; alarm at 10^{limit:.1f}"
    return (
        f"alarm: the examples have changed, evident at example "
        f"{monitor.alarm_at} of {count}; {wealth}. If all were inliers, this "
        f"would happen with probability {monitor.level:g} at most."
    )


if __name__ == "__main__":
    run_command(main, define_flags)
