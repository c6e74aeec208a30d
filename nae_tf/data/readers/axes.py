"""What the names of the axes of an array say of where examples are counted."""

from collections.abc import Sequence

from nae_tf.base.feature_names import listed

# Names of axes along which examples are counted.
_COUNTED = frozenset(
    number + name + plural
    for name in (
        *("sample", "event", "observation", "obs", "example", "trial"),
        *("frame", "record"),
    )
    for plural in ("", "s")
    for number in ("", "n_", "num_")
)
_TIME = frozenset(["t", "time"])
_IN_SPACE = frozenset(
    [
        *("x", "y", "z", "c", "channel", "channels"),
        *("lat", "lon", "latitude", "longitude"),
        *("height", "width", "row", "rows", "column", "columns"),
    ]
)


def refuse_other_axes(title, names: Sequence[str]):
    """Refuse an array whose examples are not counted along its first axis.

    Args:
        title: name of the array, used in error messages.
        names: names of its axes in their order, "" for none.

    Raises:
        ValueError: if the names of the axes say so.
    """
    place = _place_of_examples([name.lower() for name in names])
    if place:
        raise ValueError(
            f"{title} has the axes {listed(list(names))}, but examples are "
            f"counted along the first one; store np.moveaxis(x, {place}, 0)."
        )


def _place_of_examples(names) -> int:
    """Return along which axis examples are counted, as far as names tell."""
    if not names or names[0] in _COUNTED | _TIME:
        return 0
    wanted = _COUNTED
    # A row of (station, time) may be an example; one of (y, x, time) is none.
    if len(names) > 2 and names[0] in _IN_SPACE:
        wanted = _COUNTED | _TIME
    return next((i for i, name in enumerate(names) if name in wanted), 0)
