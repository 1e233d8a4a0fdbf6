"""What bars draw on a terminal, and that away from one they leave no trace in what a program prints."""

import io

from rich.console import Console

from cctuning.tools.progress import progress_bar, progress_bars, tracked


def screen(*, terminal=True):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def drawn(console):
    return console.file.getvalue()


def test_a_bar_shows_how_many_pieces_of_how_many_are_done():
    console = screen()
    with progress_bar("rows", 8, console=console) as bar:
        bar.advance(3)
        bar.advance()
    assert "rows" in drawn(console) and "4/8" in drawn(console)


def test_a_bar_can_learn_its_total_late_and_change_its_name():
    console = screen()
    with progress_bar("aligning", console=console) as bar:
        bar.update(5, 6, description="aligning: de")
    assert "aligning: de" in drawn(console) and "5/6" in drawn(console)


def test_bytes_are_counted_from_what_was_there_before():
    console = screen()
    with progress_bar("file", 4_000_000, done=1_000_000, size=True, console=console) as bar:
        bar.advance(2_000_000)
    assert "3.0/4.0 MB" in drawn(console)


def test_every_kind_of_work_has_a_bar():
    console = screen()
    with progress_bars(console) as bars:
        for done in (1, 2):
            bars.update("outputs", done, 2)
        bars.update("solving", 1, 5)
    assert "2/2" in drawn(console) and "1/5" in drawn(console)


def test_all_pieces_come_through():
    console = screen()
    assert list(tracked(iter("abc"), "letters", console=console)) == ["a", "b", "c"]
    assert "letters" in drawn(console)


def test_a_bar_that_would_disappear_leaves_nothing_in_a_log():
    console = screen(terminal=False)
    list(tracked("abc", "letters", console=console))
    with progress_bar("rows", 8, console=console, transient=True) as bar:
        bar.advance()
    assert drawn(console) == ""
