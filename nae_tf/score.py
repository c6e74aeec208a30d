"""Score files by an exported model.

    python -m nae_tf.score --model=export/1 --input=photos --output=scores.csv

Writes one row an example, in order: id, energy, p_value, is_outlier. An
interrupted command goes on where it stopped when it is given again.
"""

import contextlib
import csv
import io
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
from absl import flags

from nae_tf.example_stream import ExampleStream, open_stream
from nae_tf.exported_model import ExportedModel
from nae_tf.input_checks import one_line_errors
from nae_tf.progress import progress_bar
from nae_tf.runtime import run_command
from nae_tf.score_files import COLUMNS, PartialFile

Row = tuple[str, str, str, str]


def score_batches(
    model: ExportedModel, stream: ExampleStream, done: list[Row]
) -> Iterator[list[Row]]:
    """Score a stream from where an earlier command stopped.

    Args:
        model: the model.
        stream: all examples, from the first.
        done: rows that are written already. The last of them is scored again:
            another score means another model or other data.

    Yields:
        The rows of a batch; none for batches that are done.

    Raises:
        ValueError: bad examples, or rows that do not fit.
    """
    start = 0
    for batch in stream.batches:
        earlier = done[start : start + len(batch.ids)]
        if [row[0] for row in earlier] != batch.ids[: len(earlier)]:
            raise ValueError(_NOT_THE_SAME)
        start += len(batch.ids)
        if start < len(done):
            yield []
            continue
        try:
            with one_line_errors():
                outputs = model.score(batch.load())
        except ValueError as error:
            raise ValueError(
                f"examples {batch.ids[0]} to {batch.ids[-1]}: {error}"
            ) from error
        if earlier and not np.allclose(
            outputs["energy"][: len(earlier)],
            [float(row[1]) for row in earlier],
            rtol=1e-3,
        ):
            raise ValueError(_NOT_THE_SAME)
        rows = [
            (
                name,
                # The shortest text that reads back as the same number.
                str(outputs["energy"][index]),
                str(outputs["p_value"][index]),
                str(int(outputs["is_outlier"][index])),
            )
            for index, name in enumerate(batch.ids)
        ]
        yield rows[len(earlier) :]
    if start == 0:
        raise ValueError("the input holds no examples to score.")
    if start < len(done):
        raise ValueError(_NOT_THE_SAME)


_NOT_THE_SAME = (
    "the unfinished output belongs to another model or other examples; remove "
    "it, or choose another --output."
)


def main():
    """Score what --input names by the model that --model names."""
    options = flags.FLAGS
    if not options.input:
        raise ValueError("--input is empty; name a file or a folder.")
    model = ExportedModel(options.model)
    output = None if options.output == "-" else pathlib.Path(options.output)
    examples = pathlib.Path(options.input).resolve()
    if output is not None and examples in output.resolve().parents:
        raise ValueError(
            f"--output={options.output} lies in the folder of examples "
            f"{options.input}; choose a place outside of it."
        )
    stream = open_stream(
        options.input, model.example_shape, options.batch_size, options.key
    )
    with contextlib.ExitStack() as stack:
        done: list[Row] = []
        write = _print_rows
        if output is None:
            if isinstance(sys.stdout, io.TextIOWrapper):
                # Names of files need not be UTF-8, as in a file of scores.
                sys.stdout.reconfigure(errors="surrogateescape")
            write([COLUMNS])
        else:
            partial = stack.enter_context(PartialFile(output))
            done, write = partial.rows, partial.write
        bar = stack.enter_context(
            progress_bar(stream.size, "example", initial=len(done))
        )
        for batch in score_batches(model, stream, done):
            write(batch)
            bar.update(len(batch))
        if output is not None:
            partial.finish()


def _print_rows(rows):
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
    sys.stdout.flush()


if __name__ == "__main__":
    flags.DEFINE_string(
        "model", None, "A version that nae_tf.export wrote.", required=True
    )
    flags.DEFINE_string(
        "input",
        None,
        "A folder of images, a file of examples, or - for a table on standard "
        "input.",
        required=True,
    )
    flags.DEFINE_string(
        "output", "-", "A .csv, .npz or .parquet file; - is standard output."
    )
    flags.DEFINE_string(
        "key", None, "Of the examples in a file of several arrays."
    )
    flags.DEFINE_integer("batch_size", 256, "Examples a step.", lower_bound=1)
    run_command(main)
