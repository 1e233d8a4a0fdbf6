"""The fields of a training row: which there are, and what is wrong with a value."""

import functools
import math
import sys
import unicodedata
from collections.abc import Collection
from decimal import Decimal
from typing import Any

import langcodes

REQUIRED = ("instruction", "instruction_en", "output")
OPTIONAL = ("id", "language", "output_en")
# Other columns that a row's texts may stand in (`conversations`).
PARTS = ("input", "input_en", "system", "system_en", "messages", "messages_en")
UNKNOWN_LANGUAGE = "und"
NO_LANGUAGE_CODE = "is no language code (BCP 47, such as de, sw or zh-Hans)"

_LONGEST = 10_000_000  # characters of a text; a tokenizer takes minutes for more
_SHOWN = 60  # characters of a value in a message
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Zs")  # Unicode categories: control, format, separators
# Beside them what shows nothing: fillers of Hangul, blank Braille, variation selectors.
_FILLERS = {"\u115f", "\u1160", "\u2800", "\u3164", "\uffa0", *map(chr, range(0xFE00, 0xFE10))}
# All blanks of Unicode, byte-order marks and zero-width spaces.
_OUTER_BLANKS = "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1)))) + "\ufeff\u200b"
NO_RESPONSE = (
    "training takes rows without a response in data= alone, with the connection and "
    "connection.alignment=WEIGHT"
)
_HINTS = {"instruction_en": ": the row has no English translation", "output": f": {NO_RESPONSE}"}
_TYPE_NAMES = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
    bytes: "bytes",
}


def field_fault(field: str, value: Any, is_there: bool, required: Collection[str] = REQUIRED) -> str | None:
    """The fault of a field's value; None for none.

    `is_there`: whether the row has the field's column; it may lack the value of a field that is not among
    the `required`.
    """
    optional, hint = field not in required, _HINTS.get(field, "")
    if value is None:
        return None if optional else f"is {'null' if is_there else 'missing'}{hint}"
    if not isinstance(value, str):
        return f"is {type_name(value)}, must be text{' or a whole number' * (field == 'id')}"
    if is_blank(value):
        return "is empty: leave it out or set it to null" if optional else f"is empty{hint}"
    if len(value) > _LONGEST:
        return f"has {len(value):,} characters, and the longest text that is read has {_LONGEST:,}"
    if not is_unicode(value):
        return "holds half of a surrogate pair, which is no character"
    if field == "language" and not is_language_code(value):
        return f"{shown(value)} {NO_LANGUAGE_CODE}"
    return None


def type_name(value: Any) -> str:
    """The type of a decoded value, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, float) and math.isnan(value):
        return "NaN (a missing value that was not written as null)"
    names = (name for kind, name in _TYPE_NAMES.items() if isinstance(value, kind))
    return next(names, f"a {type(value).__name__}")


def shown(text: str) -> str:
    """A text in quotes, shortened for a message."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def whole_number(value: Any) -> int | None:
    """A whole number, however data frames write it: 1, 1.0 or a Decimal; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        return value
    # Above 2**53 a float stands for several whole numbers.
    exact = isinstance(value, Decimal) or abs(value) <= 2**53
    return int(value) if exact and math.isfinite(value) and value == int(value) else None


def stripped(text: str) -> str:
    """`text` without blanks, line breaks and what shows nothing at its ends. Data have them by accident."""
    return text.strip(_OUTER_BLANKS)


def is_blank(value: Any) -> bool:
    """Whether it is None, or text with nothing to see. What is no text is not blank."""
    return value is None or (isinstance(value, str) and not any(map(_is_visible, value)))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE and character not in _FILLERS


def is_unicode(text: str) -> bool:
    """Whether all of it is characters, so that it can be written as UTF-8."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def is_english(language: Any) -> bool:
    """Whether a language code is that of English."""
    return isinstance(language, str) and language.lower().replace("_", "-").split("-")[0] in ("en", "eng")


@functools.lru_cache
def is_language_code(text: str) -> bool:
    """Whether it is a valid BCP 47 tag."""
    return langcodes.tag_is_valid(text)
