"""Scores of examples by an exported model, batch by batch."""

import functools
from collections.abc import Iterator

import numpy as np

from nae_tf.base.feature_names import listed
from nae_tf.base.input_checks import explain_bad_input
from nae_tf.data.readers.stream import Batch, ExampleStream
from nae_tf.data.schema import Schema
from nae_tf.runs.progress import print_status
from nae_tf.serving.saved_model import ExportedModel

Row = tuple[str, str, str, str]


def stream_in_order(
    schema: Schema | None, title: str, stream: ExampleStream
) -> ExampleStream:
    """Put the features of a stream in the order that a model takes.

    A note says so where names cannot be compared.

    Args:
        schema: schema of the model's training, or None.
        title: name of the examples, used in messages.
        stream: all examples.

    Raises:
        ValueError: if the name of a feature is missing or unknown.
    """
    if schema is None:
        print_status(
            "note: the export carries no schema, so nothing but the shape of "
            "the examples is compared with those of its training."
        )
        return stream
    if schema.names and stream.names is None:
        print_status(
            f"note: {title} does not name its features; they are taken as "
            f"{listed(schema.names)}, in this order."
        )
    order = schema.order(title, stream.names)
    if order is None:
        return stream

    def ordered(load):
        return load()[:, order]

    batches = (
        Batch(batch.ids, functools.partial(ordered, batch.load))
        for batch in stream.batches
    )
    return ExampleStream(stream.size, batches, schema.names)


def score_batches(
    model: ExportedModel, stream: ExampleStream, done: list[Row]
) -> Iterator[list[Row]]:
    """Score a stream from where an earlier command stopped.

    Args:
        model: exported model that scores.
        stream: all examples, from the first.
        done: rows that are written already. The last of them is scored again:
            another score means another model or other data.

    Yields:
        The rows of a batch; none for batches that are done.

    Raises:
        ValueError: if examples are not valid, or `done` does not fit them.
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
            with explain_bad_input():
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
