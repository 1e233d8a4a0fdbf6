"""Tokens as a reader sees them: spaces, control characters and pieces of characters made visible."""

import functools
import re
import unicodedata
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

SPACE = "␣"
DOTTED_CIRCLE = "◌"  # carries a mark that stands alone, as Unicode's charts do
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def token_text(tokenizer: Any, token: int) -> str:
    r"""One token as readable text, which is never empty.

    A space is `␣`; a newline, a control or an invisible character is escaped as in Python (`\n`, `\u200d`);
    so is a byte that is only a part of a character (`\xe0`). A special token is its own name, and a place in
    the model's vocabulary for which the tokenizer has no token is `[id]`.
    """
    name = tokenizer.convert_ids_to_tokens(token)
    if name is None:
        return f"[{token}]"
    if token in tokenizer.all_special_ids or token in tokenizer.added_tokens_decoder:
        return visible(str(name))
    return visible(_raw_text(tokenizer, token, str(name)))


def _raw_text(tokenizer: Any, token: int, name: str) -> str:
    """The text that a token adds to what stands before it, with bytes of incomplete characters escaped."""
    decoded = str(tokenizer.decode([token], clean_up_tokenization_spaces=False))
    if all(character in _bytes_of_characters() for character in name):
        content = bytes(_bytes_of_characters()[character] for character in name)
        # Other tokenizers have such names too: there, they are not bytes, and decode to something else.
        if content.decode(errors="replace") == decoded:
            return content.decode(errors="backslashreplace")
    if (byte := _BYTE.fullmatch(name)) and "\N{REPLACEMENT CHARACTER}" in decoded:
        return f"\\x{byte[1].lower()}"
    # SentencePiece marks the start of a word, which decoding a lone token would drop.
    return name.replace("▁", " ") if "▁" in name else decoded or name


@functools.cache
def _bytes_of_characters() -> dict[str, int]:
    """Byte-level tokenizers' characters for bytes, read off their own pre-tokenizer: character -> byte."""
    write = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    # A text with every byte of UTF-8 in it: all of one and two bytes, and every start of longer ones.
    starts = [*range(0x800), *range(0x800, 0xD800, 0x400), *range(0xE000, 0x110000, 0x1000)]
    text = "".join(map(chr, starts))
    written = "".join(piece for piece, _ in write(text))
    byte_of = dict(zip(written, text.encode(), strict=True))
    # Those that no UTF-8 text has; Latin-1 prints them all, and such bytes are written as their characters.
    return byte_of | {chr(byte): byte for byte in set(range(256)) - set(byte_of.values())}


def visible(text: str) -> str:
    """`text` with spaces, control and invisible characters shown, and a lone mark on a dotted circle."""
    shown = "".join(map(_visible_character, text))
    is_mark = shown != "" and unicodedata.category(shown[0]).startswith("M")
    return DOTTED_CIRCLE + shown if is_mark else shown or "''"


def _visible_character(character: str) -> str:
    if character == " ":
        return SPACE
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs")
    if not hidden:
        return character
    # Beyond ASCII not as \xa0: that is a byte.
    return ascii(character)[1:-1] if character < "\x80" else f"\\u{ord(character):04x}"
