"""Contenders in turns: their seconds, and how many times as fast they are."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np


def take_turns(
    measures: Mapping[str, Callable[[], float]], repeats: int, minutes: float
) -> dict[str, list[float]]:
    """Call every measure once per turn; the first turn does not count.

    Args:
        measures: function of every contender, by name.
        repeats: number of turns that count.
        minutes: time within which the turns end; one counts at least.

    Returns:
        What the functions returned, a value per turn that counts.
    """
    values: dict = {name: [] for name in measures}
    start = time.monotonic()
    for turn in range(repeats + 1):
        seconds = time.monotonic() - start
        if turn > 1 and seconds * (turn + 1) / turn > 60 * minutes:
            print(f"{turn - 1} turns of {repeats}, for the time (--minutes)")
            break
        for name, measure in measures.items():
            value = measure()
            if turn:
                values[name].append(value)
    return values


def show_seconds(values: dict[str, list[float]], reference: str):
    """Print medians, ranges and how many times faster than the reference."""
    width = max(map(len, values))
    print(f"{'seconds':{width}}  {'median':>7}  {'range':>16}  times as fast")
    for name, seconds in values.items():
        span = f"{min(seconds):.2f} to {max(seconds):.2f}"
        line = f"{name:{width}}  {statistics.median(seconds):7.2f}  {span:>16}"
        if reference in values:
            # Turn by turn, because both met the same state of the machine.
            ratios = np.divide(values[reference], seconds)
            line += (
                f"  {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )
        print(line, flush=True)


def show_best_peers(values: dict[str, list[float]]):
    """Print the fastest peer of every precision, and how ours compares."""
    peers = [name for name in values if not name.startswith("ours")]
    for precision in ("float32", "bfloat16"):
        # Whoever may round to bfloat16 may also compute in float32.
        rivals = [
            name
            for name in peers
            if precision == "bfloat16" or "bfloat16" not in name
        ]
        ours = [name for name in values if name.startswith("ours")]
        ours = [name for name in ours if precision in name]
        if not rivals or not ours:
            continue
        best, own = (
            min(names, key=lambda name: statistics.median(values[name]))
            for names in (rivals, ours)
        )
        ratios = np.divide(values[best], values[own])
        print(
            f"best peer in {precision}: {best}; {own} is "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f}) times as fast"
        )
