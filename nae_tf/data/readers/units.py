"""Units of features, where a format carries them.

They are text by name of a feature; "" stands for all values of an array that
has no names. Not every file has units, so only two that differ are refused.
"""

from collections.abc import Mapping

Units = Mapping[str, str]
UNIT_NAMES = ("units", "unit")


def unit_of(attributes: Mapping) -> str:
    """Return the unit among the attributes of an array, or an empty text.

    Args:
        attributes: values by name, which may be texts or bytes.
    """
    for name in UNIT_NAMES:
        for key in (name, name.encode()):
            value = attributes.get(key)
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            if isinstance(value, str):
                return value.strip("\0 []")
    return ""


def known_units(units: Mapping[str, str | None]) -> dict[str, str]:
    """Return the units of the features that have one."""
    return {name: unit for name, unit in units.items() if unit}


def refuse_other_units(title, units: Units, expected: Units, owner: str):
    """Refuse a feature in another unit than the model's.

    Args:
        title: name of the file, used in error messages.
        units: units of its features.
        expected: units that they should have.
        owner: whose units these are, such as "the model's".

    Raises:
        ValueError: if two units of one feature differ; the line names them.
    """
    for name, unit in units.items():
        if expected.get(name, unit) == unit:
            continue
        verb = "is" if name else "are"
        raise ValueError(
            f"{title}: {name or 'the values'} {verb} in {unit}, {owner} "
            f"{verb} in {expected[name]}; convert them, or correct what the "
            "file says."
        )
