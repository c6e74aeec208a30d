"""Score files by an exported model.

    nae-tf score --model=export/1 --input=photos --output=scores.csv

Writes one row per example, in order: id, energy, p_value, is_outlier. An
interrupted command continues where it stopped when it is given again. With
--on_error=record, an example that cannot be read does not end it.
"""

import contextlib
import csv
import io
import pathlib
import sys

from absl import flags

from nae_tf.runs.command_line import run_command
from nae_tf.runs.progress import print_status, progress_bar
from nae_tf.serving.input_flags import (
    define_model_flags,
    define_reading_flags,
    open_input,
    open_model,
)
from nae_tf.serving.score_files import COLUMNS, FaultsFile, PartialFile
from nae_tf.serving.scoring import Row, score_batches


def define_flags():
    """Define the flags of scoring."""
    define_model_flags()
    flags.DEFINE_string(
        "input",
        None,
        "The examples: a folder of images, a file, or - for a table on "
        "standard input.",
        required=True,
    )
    flags.DEFINE_string(
        "output",
        "-",
        "The file of scores, ending in .csv, .npz or .parquet, or - for "
        "standard output.",
    )
    flags.DEFINE_float(
        "false_alarm_rate",
        None,
        "The share of inliers that may be called outliers, in (0, 1). The "
        "default is that of the export.",
    )
    define_reading_flags()
    flags.DEFINE_enum(
        "on_error",
        "stop",
        ["stop", "record"],
        "Whether an example that cannot be scored ends the command, or is "
        "recorded in OUTPUT.errors.csv and as a row of NaN that is an outlier.",
    )


def main():
    """Score what --input names by the model that --model names."""
    options = flags.FLAGS
    if not options.input:
        raise ValueError("--input is empty; name a file or a folder.")
    model = open_model(options)
    output = None if options.output == "-" else pathlib.Path(options.output)
    examples = pathlib.Path(options.input).resolve()
    if output is not None and examples in output.resolve().parents:
        raise ValueError(
            f"--output={options.output} lies in the folder of examples "
            f"{options.input}; choose a place outside of it."
        )
    stream = open_input(model, options)
    with contextlib.ExitStack() as stack:
        done: list[Row] = []
        write = _print_rows
        if output is None:
            if isinstance(sys.stdout, io.TextIOWrapper):
                # Names of files need not be UTF-8; they stay as they are.
                sys.stdout.reconfigure(errors="surrogateescape")
            write([COLUMNS])
        else:
            partial = stack.enter_context(PartialFile(output))
            done, write = partial.rows, partial.write
        record = None
        if options.on_error == "record":
            record = _print_fault
            if output is not None:
                faults = FaultsFile(output, goes_on=bool(done))
                record = faults.write
        bar = stack.enter_context(
            progress_bar(stream.size, "example", initial=len(done))
        )
        for batch in score_batches(
            model, stream, done, record, options.false_alarm_rate
        ):
            write(batch)
            bar.update(len(batch))
        if output is not None:
            partial.finish()
            if record is not None and faults.count:
                print_status(
                    f"note: {faults.count} examples have no score; "
                    f"{str(faults.path)!r} says why."
                )


def _print_fault(name, fault):
    print_status(f"note: example {name} has no score: {fault}")


def _print_rows(rows):
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
    sys.stdout.flush()


if __name__ == "__main__":
    run_command(main, define_flags)
