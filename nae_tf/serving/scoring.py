"""Scores of examples by an exported model, batch by batch."""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from nae_tf.base.feature_names import listed
from nae_tf.base.input_checks import explain_bad_input
from nae_tf.data.readers.stream import Batch, ExampleStream
from nae_tf.data.schema import Schema
from nae_tf.runs.progress import print_status
from nae_tf.serving.saved_model import ExportedModel

Row = tuple[str, str, str, str]


def stream_in_order(
    schema: Schema | None,
    title: str,
    stream: ExampleStream,
    note: Callable[[str], None] = print_status,
) -> ExampleStream:
    """Put the features of a stream in the order that a model takes.

    A note says so where names cannot be compared.

    Args:
        schema: schema of the model's training, or None.
        title: name of the examples, used in messages.
        stream: all examples.
        note: function that is told the note.

    Raises:
        ValueError: if the name of a feature is missing or unknown, or a
            feature is in another unit.
    """
    if schema is None:
        note(
            "note: the export carries no schema, so nothing but the shape of "
            "the examples is compared with those of its training."
        )
        return stream
    if schema.names and stream.names is None:
        note(
            f"note: {title} does not name its features; they are taken as "
            f"{listed(schema.titles)}, in this order."
        )
    if stream.names and schema.names is None:
        note(
            "note: the model knows no names of features; the columns of "
            f"{title} are taken in their order, {listed(stream.names)}."
        )
    schema.check_units(title, stream.units)
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
    model: ExportedModel,
    stream: ExampleStream,
    done: list[Row],
    record: Callable[[str, ValueError], None] | None = None,
    false_alarm_rate: float | None = None,
) -> Iterator[list[Row]]:
    """Score a stream from where an earlier command stopped.

    Args:
        model: exported model that scores.
        stream: all examples, from the first.
        done: rows that are written already. The last of them is scored again:
            another score means another model or other data.
        record: function that is told the id of an example that cannot be
            scored, and why. Its row says NaN, and that it is an outlier: it has
            to be looked at. None means that such an example ends the scoring.
        false_alarm_rate: share of inliers that may be called outliers, in (0,
            1); None for that of the model's calibration.

    Yields:
        The rows of a batch; none for batches that are done. Where an example
        ends the scoring, the rows before it come first.

    Raises:
        ValueError: if examples are not valid, or `done` does not fit them.
    """
    score = model.score
    if false_alarm_rate is not None:
        model.check_false_alarm_rate(false_alarm_rate)
        if not all(_is_decided_at(false_alarm_rate, row) for row in done):
            raise ValueError(_NOT_THE_SAME)
        score = functools.partial(score, false_alarm_rate=false_alarm_rate)
    start = 0
    for batch in stream.batches:
        earlier = done[start : start + len(batch.ids)]
        if [row[0] for row in earlier] != batch.ids[: len(earlier)]:
            raise ValueError(_NOT_THE_SAME)
        start += len(batch.ids)
        if start < len(done):
            yield []
            continue
        faults: dict[str, ValueError] = {}
        try:
            rows = _rows(score, batch.ids, batch.load)
        except ValueError as error:
            rows, faults = _rows_one_by_one(score, batch, error, record is None)
        if not _agree(rows, earlier):
            raise ValueError(_NOT_THE_SAME)
        if record is not None:
            for name in batch.ids[len(earlier) :]:
                if name in faults:
                    record(name, faults[name])
        yield rows[len(earlier) :]
        if record is None:
            for name, fault in faults.items():
                raise ValueError(f"example {name}: {fault}") from fault
    if start == 0:
        raise ValueError("the input holds no examples to score.")
    if start < len(done):
        raise ValueError(_NOT_THE_SAME)


def _is_decided_at(rate, row):
    """Return whether a row's decision is that of a rate of false alarms."""
    p_value, is_outlier = float(row[2]), row[3] == "1"
    return np.isnan(p_value) or is_outlier == (p_value <= rate * (1 + 1e-6))


def _agree(rows, earlier):
    """Return whether new rows have the energies of those written earlier."""
    count = min(len(rows), len(earlier))
    new, old = (
        [float(row[1]) for row in some[:count]] for some in (rows, earlier)
    )
    return np.allclose(new, old, rtol=1e-3, equal_nan=True)


def _rows(score, ids, load) -> list[Row]:
    with explain_bad_input():
        outputs = score(load())
    return list(
        zip(
            ids,
            # The shortest text that reads back as the same number.
            outputs["energy"].astype(str).tolist(),
            outputs["p_value"].astype(str).tolist(),
            outputs["is_outlier"].astype(int).astype(str).tolist(),
            strict=True,
        )
    )


def _rows_one_by_one(score, batch, error, stops):
    """Return rows, and by name the errors of examples that have no score.

    Args:
        score: function of examples that returns outputs by name.
        batch: batch that could not be scored as a whole.
        error: why it could not.
        stops: whether the first such example ends the rows.
    """
    load_one = batch.load_one
    if load_one is None:
        try:
            values = batch.load()
        except ValueError:  # Nobody can tell which example is to blame.
            raise ValueError(
                f"examples {batch.ids[0]} to {batch.ids[-1]}: {error}"
            ) from error

        def load_one(position):
            return values[position : position + 1]

    rows: list[Row] = []
    faults = {}
    for position, name in enumerate(batch.ids):
        try:
            load = functools.partial(load_one, position)
            rows += _rows(score, [name], load)
        except ValueError as fault:
            faults[name] = fault
            if stops:
                break
            rows.append((name, *_UNSCORED))
    if not faults:  # Together, but not alone.
        raise error
    return rows, faults


# Energy, p-value and decision of an example that could not be read.
_UNSCORED = ("nan", "nan", "1")
_NOT_THE_SAME = (
    "the unfinished output belongs to another model or other examples; remove "
    "it, or choose another --output."
)
