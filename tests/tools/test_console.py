"""The screen shows what comes from outside and does not obey it."""

import io

from rich.table import Table

from cctuning.tools.console import new_console
from cctuning.tools.errors import message_of, printable, write_error

HOSTILE = "a\x1b]0;owned\x07b\x1b[2Jc\u202ed\r"


def shown(renderable, **options):
    out = io.StringIO()
    new_console(file=out, width=200, **options).print(renderable)
    return out.getvalue()


def test_control_characters_are_shown_as_escapes():
    assert printable(HOSTILE) == "a\\x1b]0;owned\\x07b\\x1b[2Jc\\u202ed\\r"
    assert printable("two\nlines\tand ไทย العربية") == "two\nlines\tand ไทย العربية"


def test_no_text_reaches_a_terminal_as_a_command():
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    for renderable in (HOSTILE, table):
        assert "\x1b" not in shown(renderable) and "\x07" not in shown(renderable)


def test_colours_of_our_own_stay():
    out = io.StringIO()
    new_console(file=out, force_terminal=True, color_system="standard").print("layer 3", style="red")
    assert "\x1b[31m" in out.getvalue()


def test_brackets_are_no_markup():
    assert "a[/b].jsonl" in shown("a[/b].jsonl")


def test_an_error_of_the_system_names_its_file():
    assert message_of(FileNotFoundError(2, "No such file or directory", "rows\x1b.jsonl")) == (
        "rows\\x1b.jsonl: No such file or directory"
    )


def test_a_message_of_a_megabyte_is_cut_in_its_middle(capsys):
    error = ValueError(f"model={'x' * 10**6}: no such folder")
    write_error(str(error))
    for message in (message_of(error), capsys.readouterr().err.removeprefix("error: ").strip()):
        assert message.startswith("model=xxx") and message.endswith("x: no such folder")
        assert "characters" in message and len(message) < 5000
