"""Tokens as text, for the two ways in which tokenizers spell bytes."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from cctuning.analysis.lens.token_text import token_text, visible
from tests.tiny import tiny_tokenizer


def sentencepiece():
    """A tokenizer as Llama 2's: `▁` starts words, and bytes are tokens `<0x..>`."""
    pieces = ["<unk>", "<s>", "▁the", "the", "é", "▁", "<0x0A>", "<0xE0>", "กำ", "ำ"]
    core = Tokenizer(models.BPE({piece: place for place, piece in enumerate(pieces)}, [], byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", bos_token="<s>"), pieces


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        ("▁the", "␣the"),
        ("the", "the"),
        ("é", "é"),
        ("▁", "␣"),
        ("<0x0A>", r"\n"),
        ("<0xE0>", r"\xe0"),
        ("กำ", "กำ"),
        ("<s>", "<s>"),
    ],
)
def test_a_sentencepiece_token(piece, text):
    tokenizer, pieces = sentencepiece()
    assert token_text(tokenizer, pieces.index(piece)) == text


def test_tokens_of_a_byte_level_tokenizer_spell_their_text():
    tokenizer = tiny_tokenizer()
    text = "Mji mkuu\n ni upi? Какая столица โตเกียว 東京 é\t😀\u200dنا"
    shown = "".join(
        token_text(tokenizer, token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]
    )
    content = shown.replace("␣", " ").replace("◌", "").encode("latin-1", "backslashreplace")
    # Escaped bytes are put together by Python itself; whole characters became \u escapes on the way.
    spelled = content.decode("unicode_escape")
    joined = b"".join(
        bytes([ord(character)]) if "\x80" <= character <= "\xff" and character != "é" else character.encode()
        for character in spelled
    )
    assert joined.decode() == text


def test_every_byte_has_a_text_of_its_own():
    tokenizer = tiny_tokenizer()
    ids = [tokenizer.convert_tokens_to_ids(name) for name in pre_tokenizers.ByteLevel.alphabet()]
    texts = {token_text(tokenizer, token) for token in ids}
    assert len(texts) == 256
    assert {f"\\x{byte:02x}" for byte in range(0x80, 0x100)} <= texts
    assert {"␣", r"\n", "A", r"\x7f"} <= texts


def test_special_tokens_are_their_names_and_missing_ones_their_numbers():
    tokenizer = tiny_tokenizer()
    assert token_text(tokenizer, tokenizer.eos_token_id) == "</s>"
    assert token_text(tokenizer, len(tokenizer) + 3) == f"[{len(tokenizer) + 3}]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a b", "␣a␣b"),
        ("\u0e33", "\u0e33"),  # a vowel sign that is a letter
        ("\u0e34x", "◌\u0e34x"),  # one that is a mark
        ("e\u0301", "e\u0301"),
        ("\u200d", r"\u200d"),
        ("\u00a0", r"\u00a0"),
        ("\U000e0001", r"\ue0001"),
        ("", "''"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert visible(text) == shown
