"""Turns of contenders, and the best peer of a precision."""

import pytest

from benchmarking import turns


def test_the_first_turn_does_not_count():
    values = iter(range(8))
    taken = turns.take_turns(
        {"a": lambda: next(values), "b": lambda: next(values)}, 3, 1.0
    )
    assert taken == {"a": [2, 4, 6], "b": [3, 5, 7]}


def test_turns_end_within_the_minutes(monkeypatch, capsys):
    clock = iter([0, *range(0, 600, 20)])  # A turn takes 20 s.
    monkeypatch.setattr(turns.time, "monotonic", lambda: next(clock))
    taken = turns.take_turns({"a": lambda: 1.0}, 9, 1.5)
    # The first of four turns does not count; a fifth would end after 100 s.
    assert taken == {"a": [1.0] * 3}
    assert "3 turns of 9" in capsys.readouterr().out


def test_one_turn_counts_however_long_it_takes(monkeypatch):
    clock = iter(range(0, 10**6, 10**4))
    monkeypatch.setattr(turns.time, "monotonic", lambda: next(clock))
    assert turns.take_turns({"a": lambda: 1.0}, 5, 0.1) == {"a": [1.0]}


def test_ratios_are_taken_turn_by_turn(capsys):
    # The machine is half as fast in the second turn.
    turns.show_seconds({"plain": [2.0, 4.0], "ours": [1.0, 2.0]}, "plain")
    assert "2.00 (2.00 to 2.00)" in capsys.readouterr().out.splitlines()[2]


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (
            {
                "PyTorch": [9.0],
                "PyTorch, channels_last": [6.0],
                "PyTorch, channels_last, bfloat16": [4.0],
                "ours, float32": [3.0],
                "ours, bfloat16": [2.0],
            },
            [
                "best peer in float32: PyTorch, channels_last; "
                "ours, float32 is 2.00 (2.00 to 2.00) times as fast",
                "best peer in bfloat16: PyTorch, channels_last, bfloat16; "
                "ours, bfloat16 is 2.00 (2.00 to 2.00) times as fast",
            ],
        ),
        (
            {"OpenVINO": [1.0], "ours, float32": [2.0]},
            [
                "best peer in float32: OpenVINO; "
                "ours, float32 is 0.50 (0.50 to 0.50) times as fast"
            ],
        ),
        ({"ours, float32": [2.0]}, []),
    ],
)
def test_the_best_peer_is_named_per_precision(values, lines, capsys):
    turns.show_best_peers(values)
    assert capsys.readouterr().out.splitlines() == lines
