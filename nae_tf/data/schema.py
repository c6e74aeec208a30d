"""The schema of a model's data: what examples are, and which were trained on.

It travels with the model, in the run directory and in exports. Whoever brings
other examples later is told what differs, instead of being given scores that
mean nothing.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nae_tf.base.feature_names import positions_of
from nae_tf.base.json_text import parse_json, reason
from nae_tf.data.examples import Examples
from nae_tf.data.fingerprints import digest_of
from nae_tf.data.readers.units import refuse_other_units
from nae_tf.data.sources import ArrayExamples
from nae_tf.data.task import Task

_VERSION = 1


@dataclasses.dataclass(frozen=True)
class SetRecord:
    """One set of examples of a training.

    Attributes:
        num_examples: number of examples.
        digest: SHA-256 of their fingerprints, hexadecimal.
    """

    num_examples: int
    digest: str


@dataclasses.dataclass(frozen=True)
class Schema:
    """What the examples of a model are, and which it was trained on.

    Attributes:
        shape: shape of one example, [height, width, channels] or [features].
        num_levels: number of values that a pixel can take (256 for 8 bits), or
            None for data that are not quantised.
        value_range: lowest and highest value of the training examples, as the
            model sees them; None where they are not held in memory.
        names: names of the features, in the order of the model, or None.
        sets: records of the sets of a training, by name; empty for a model
            without a run.
        files: number of inliers by file or folder.
        units: units of features by name, "" for all values without names.

    Example:
        >>> from nae_tf.data import Schema
        >>> schema = Schema((3,), names=("mass", "energy", "charge"))
        >>> schema.order("new.csv", ("charge", "mass", "energy")).tolist()
        [1, 2, 0]
        >>> schema.order("new.csv", ("charge", "mass", "Energy"))
        Traceback (most recent call last):
        ValueError: new.csv lacks the columns ['energy'] and has ['Energy']...
    """

    shape: tuple[int, ...]
    num_levels: int | None = None
    value_range: tuple[float, float] | None = None
    names: tuple[str, ...] | None = None
    sets: Mapping[str, SetRecord] = dataclasses.field(default_factory=dict)
    files: Mapping[str, int] = dataclasses.field(default_factory=dict)
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_task(
        cls, task: Task, hashes: Mapping[str, np.ndarray] | None = None
    ) -> "Schema":
        """Describe the training examples of a task.

        Args:
            task: task, whose training examples are read if they fit in memory.
            hashes: fingerprints of sets by name.
        """
        return cls(
            task.example_shape,
            task.train.num_levels,
            _value_range(task.train),
            task.train.names,
            {
                name: SetRecord(len(values), digest_of(values))
                for name, values in (hashes or {}).items()
            },
            dict(task.files),
            dict(task.units),
        )

    @property
    def max_level(self) -> int | None:
        """Level of white in files of images, or None where it is 255 or 65,535.

        Levels of data that are not files, as those of scikit-learn's digits,
        say nothing about files.
        """
        if not self.files or self.num_levels in (None, 256, 65_536):
            return None
        return self.num_levels - 1

    @property
    def titles(self) -> tuple[str, ...]:
        """Names of the features with their units, as "pt [GeV]"."""
        return tuple(
            f"{name} [{self.units[name]}]" if name in self.units else name
            for name in self.names or ()
        )

    def order(
        self, title: str, names: Sequence[str] | None
    ) -> np.ndarray | None:
        """Find the order of columns that the model takes.

        Args:
            title: name of the file, used in error messages.
            names: names of the file's columns, or None.

        Returns:
            int [features], the column of every feature; None if they stand in
            that order already, or if one of the two has no names.

        Raises:
            ValueError: if a name is missing or unknown; one line names it.
        """
        if names is None or self.names in (None, tuple(names)):
            return None
        return np.array(positions_of(title, tuple(names), self.names))

    def check_units(self, title: str, units: Mapping[str, str]):
        """Refuse features in other units than those of the training.

        Args:
            title: name of the file, used in error messages.
            units: units of its features by name; what has none is accepted.

        Raises:
            ValueError: if two differ, such as "pt is in MeV, the model's is in
                GeV".
        """
        refuse_other_units(title, units, self.units, "the model's")

    def difference(
        self, shape: Sequence[int], num_levels: int | None = None
    ) -> str | None:
        """Say what differs between examples and those of the training.

        Args:
            shape: shape of an example.
            num_levels: number of values that a pixel can take, or None.

        Returns:
            The end of a sentence, such as "3 features instead of 4 features",
            or None.
        """
        shape = tuple(shape)
        if shape != self.shape:
            return f"{_described(shape)} instead of {_described(self.shape)}"
        if num_levels != self.num_levels:
            return f"{_levels(num_levels)} instead of {self.num_levels}"
        return None

    def to_json(self) -> str:
        """Return the schema as JSON."""
        content = {
            "version": _VERSION,
            "layout": ["height", "width", "channels"]
            if len(self.shape) == 3
            else ["features"],
            "colour": {1: "grey", 3: "RGB"}.get(self.shape[-1])
            if len(self.shape) == 3
            else None,
            **dataclasses.asdict(self),
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Schema":
        """Read a schema that `to_json` wrote.

        Args:
            text: result of `to_json`.

        Raises:
            ValueError: if the text is something else, or of a later version.
        """
        try:
            content: dict[str, Any] = parse_json(text)
            version = content["version"]
            if version != _VERSION:
                raise ValueError(
                    f"it has version {version}, expected {_VERSION}"
                )
            content.setdefault("units", {})  # Schemas of old have none.
            arguments: dict[str, Any] = {
                field.name: content[field.name]
                for field in dataclasses.fields(cls)
            }
            for name in ("shape", "value_range", "names"):
                if arguments[name] is not None:
                    arguments[name] = tuple(arguments[name])
            arguments["sets"] = {
                name: SetRecord(**record)
                for name, record in arguments["sets"].items()
            }
            schema = cls(**arguments)
            _check_types(schema)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"this is not a schema: {reason(error)}; write it by "
                "Schema.to_json."
            ) from error
        return schema


def _check_types(schema):
    """Refuse a schema that no training has written."""
    sets = schema.sets.values()
    texts = [*(schema.names or ()), *schema.units.values()]
    texts += [record.digest for record in sets]
    counts = [*schema.shape, *schema.files.values()]
    counts += [record.num_examples for record in sets]
    if schema.num_levels is not None:
        counts.append(schema.num_levels)
    numbers = [*counts, *(schema.value_range or (0.0, 0.0))]
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(type(number) in (int, float) for number in numbers)
        or not all(type(count) is int and count >= 0 for count in counts)
        or len(schema.value_range or (0.0, 0.0)) != 2
    ):
        raise ValueError("its values are of other types")


def _value_range(examples: Examples):
    if not isinstance(examples, ArrayExamples) or not examples.size:
        return None
    scale = 1 if examples.num_levels is None else examples.num_levels - 1
    lows, highs = zip(
        *((part.min(), part.max()) for part in examples.parts()), strict=True
    )
    return float(min(lows)) / scale, float(max(highs)) / scale


def _described(shape):
    if len(shape) == 1:
        return f"{shape[0]} features"
    height, width, channels = shape
    colour = {1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel")
    return f"{height} x {width} pixels, {colour}"


def _levels(num_levels):
    return "no levels" if num_levels is None else f"{num_levels} levels"
