"""Flags of commands that score examples, and the examples that they name."""

import math
from collections.abc import Callable

from absl import flags

from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.stream import ExampleStream, open_stream
from nae_tf.runs.progress import print_status
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.serving.scoring import stream_in_order


def define_model_flags():
    """Define --model and --trust_model."""
    flags.DEFINE_string(
        "model",
        None,
        "The folder of an exported model, such as runs/digits/export/1.",
        required=True,
    )
    flags.DEFINE_bool(
        "trust_model",
        False,
        "Whether the model may have operations that no export needs, which can "
        "read and write files, and links out of its folder.",
    )


def define_reading_flags():
    """Define the flags that tell how examples are read."""
    flags.DEFINE_string(
        "key",
        None,
        "The name of the examples in a file of several arrays.",
    )
    flags.DEFINE_list(
        "drop",
        [],
        "The names of columns of a table to leave out, separated by commas.",
    )
    flags.DEFINE_enum(
        "header",
        "auto",
        ["auto", "yes", "no"],
        "Whether a table in text begins with a line of names.",
    )
    flags.DEFINE_bool(
        "linked_files",
        False,
        "Whether HDF5 files may lead to other files of their folder.",
    )
    flags.DEFINE_integer(
        "batch_size",
        None,
        "The number of examples that are scored at a time. The default is "
        "1024, for examples of more than 256 values 256.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "max_level",
        None,
        "The level of white in images, such as 4095 of a camera of 12 bits. "
        "The default is that of the training data, or else 255 or 65535.",
        lower_bound=1,
    )


def open_model(options) -> ExportedModel:
    """Open the model that --model names.

    Args:
        options: values of the flags.

    Raises:
        FileNotFoundError: if there is no model.
        ValueError: if it is damaged, or is refused.
    """
    return ExportedModel(options.model, options.trust_model)


def level_of_white(model: ExportedModel, options) -> int | None:
    """Return the level of white in images, or None for that of their type."""
    if options.max_level is None and model.schema is not None:
        return model.schema.max_level
    return options.max_level


def examples_at_a_time(model: ExportedModel, options) -> int:
    """Return --batch_size, or the default for the model's examples.

    A call costs as much as a small network takes for hundreds of rows.

    Args:
        model: exported model that scores them.
        options: values of the flags.
    """
    if options.batch_size is not None:
        return options.batch_size
    return 1024 if math.prod(model.example_shape) <= 256 else 256


def open_input(
    model: ExportedModel,
    options,
    note: Callable[[str], None] = print_status,
    skip: int = 0,
) -> ExampleStream:
    """Open the examples that --input names, as the model takes them.

    Args:
        model: exported model that scores them.
        options: values of the flags.
        note: function that is told what could not be compared.
        skip: number of batches of a file to leave out at its beginning.

    Raises:
        FileNotFoundError: if there is no such path.
        ValueError: if a file is not what it should be.
    """
    if not options.input:
        raise ValueError("--input is empty; name a file or a folder.")
    names = None if model.schema is None else model.schema.names
    stream = open_stream(
        options.input,
        model.example_shape,
        examples_at_a_time(model, options),
        options.key,
        Columns(options.drop, options.header, names, options.linked_files),
        level_of_white(model, options),
        skip,
    )
    return stream_in_order(model.schema, options.input, stream, note)
