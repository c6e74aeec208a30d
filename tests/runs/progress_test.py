"""What command lines show while they work, and where."""

import functools

import pytest
from terminal import show

from nae_tf.runs import progress


@pytest.fixture
def display(monkeypatch):
    """Set how things are shown; the test after this starts afresh."""
    return functools.partial(show, monkeypatch)


def use_bar():
    with progress.progress_bar(4, "step", "training") as bar:
        bar.update(2)
        bar.refresh()


def test_a_bar_on_a_terminal_tells_the_time_left(display):
    shown = display()
    use_bar()
    assert "training:" in shown.getvalue() and "2/4" in shown.getvalue()
    assert "<" in shown.getvalue()  # [elapsed<left]


@pytest.mark.parametrize(
    "settings",
    [{"quiet": True}, {"quiet": True, "terminal": False}],
    ids=["terminal", "pipe"],
)
def test_there_is_no_bar_when_quiet(display, settings):
    shown = display(**settings)
    use_bar()
    assert shown.getvalue() == ""


def test_a_pipe_gets_a_line_every_half_a_minute(display, monkeypatch):
    shown = display(terminal=False)
    now = 1_000.0
    with progress.progress_bar(80, "example", "evaluate", initial=20) as bar:
        monkeypatch.setattr(bar, "_time", lambda: now)
        bar.start_t = bar.last_print_t = now
        for _ in range(50):
            now += 7.0
            bar.update(1)
    # A line after 5, 10, ... examples; 35 seconds for 5, so 385 for 55.
    lines = shown.getvalue().splitlines()
    assert lines[0] == "evaluate: 25/80 examples  (06:25 left)"
    assert [line.split()[1] for line in lines] == [
        f"{count}/80" for count in range(25, 71, 5)
    ]
    assert "\r" not in shown.getvalue()


def test_a_line_tells_no_time_left_where_the_end_is_not_known(
    display, monkeypatch
):
    shown = display(terminal=False)
    with progress.progress_bar(None, "example") as bar:
        monkeypatch.setattr(bar, "_time", lambda: bar.start_t + 31.0)
        bar.update(5)
    assert shown.getvalue() == "5 examples\n"


def test_what_takes_no_half_a_minute_leaves_nothing_in_a_pipe(display):
    shown = display(terminal=False)
    with progress.progress_bar(4, "step", "training") as bar:
        bar.update(4)
    assert shown.getvalue() == ""


def test_colour_is_optional(display):
    # tqdm's green, and bold red.
    for color in (True, False):
        shown = display(color=color)
        use_bar()
        assert ("\x1b[32m" in shown.getvalue()) is color
        assert ("\x1b[1;31m" in progress.error_line("no")) is color
        assert progress.error_line("no").endswith(" no")


def test_notes_go_to_standard_error_unless_quiet(display, capsys):
    shown = display(terminal=False)
    progress.print_status("training: 3 epochs")
    assert shown.getvalue() == "training: 3 epochs\n"
    shown = display(quiet=True)
    progress.print_status("training: 3 epochs")
    assert shown.getvalue() == "" and capsys.readouterr().out == ""


def test_a_warning_is_one_line_without_its_place():
    line = progress.warning_line("two\nlines", UserWarning, "a.py", 3, None)
    assert line == "warning: two lines\n"
