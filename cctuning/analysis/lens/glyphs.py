"""Text of any script in a picture: the fonts of this machine, and code points where none has a character."""

import functools
import re
from collections.abc import Iterable, Sequence

import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry
from rich.cells import cell_len

from cctuning.analysis.lens.token_text import DOTTED_CIRCLE

_PIECES = re.compile(r"\\u[0-9a-f]{4,5}|\\x[0-9a-f]{2}|.", re.DOTALL)  # what is not cut in two
BASE = "DejaVu Sans"  # comes with matplotlib, and has Latin, Greek, Cyrillic, Arabic and many signs


def families(texts: Iterable[str]) -> list[str]:
    """Fonts that have together as many of the texts' characters as this machine's fonts can, `BASE` first."""
    names = [BASE]
    for character in sorted(set("".join(texts))):
        if not any(_has(path, character) for path in map(_path, names)):
            others = (entry.name for entry in _text_fonts() if _has(entry.fname, character))
            names += [*others][:1]
    return names


def drawable(text: str, fonts: Sequence[str]) -> str:
    r"""`text` with a code point such as `\u0e01` for every character that none of these families has."""
    drawn = "".join(
        character if any(_has(_path(font), character) for font in fonts) else f"\\u{ord(character):04x}"
        for character in text
    )
    return drawn.replace(f"{DOTTED_CIRCLE}\\u", "\\u")  # a code point needs nothing to stand on


def fit(text: str, width: int) -> str:
    """`text` on two lines of `width` columns at most, `…` for the rest; wide characters take two columns."""
    lines = [""]
    for piece in _PIECES.findall(text):
        if cell_len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines if len(lines) < 3 else [lines[0], f"{lines[1]}…"])


@functools.cache
def _has(path: str, character: str) -> bool:
    return bool(font_manager.get_font(path).get_char_index(ord(character)))


@functools.cache
def _path(family: str) -> str:
    return font_manager.findfont(family)


@functools.cache
def _text_fonts() -> list[FontEntry]:
    """The machine's upright fonts of normal weight, those without serifs first.

    Those that matplotlib brings beside `BASE` are for formulas, or have an empty box for every character;
    those of coloured pictures have no outlines that could be drawn.
    """
    fonts = [
        entry
        for entry in font_manager.fontManager.ttflist
        if not entry.fname.startswith(matplotlib.get_data_path())
        and entry.style == "normal"
        and entry.weight in (400, "normal", "regular")
        and "emoji" not in entry.name.lower()
    ]
    return sorted(fonts, key=lambda entry: ("sans" not in entry.name.lower(), entry.name))
