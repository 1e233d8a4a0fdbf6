"""Families of translation models: how they are given the languages. The tokenizers are transformers' own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cctuning.translation.languages import find_language
from cctuning.translation.translator import TranslationError, UnknownSourceError

_MADLAD_CODE = re.compile(r"<2\w+>")


@dataclass(frozen=True)
class Nllb:
    """NLLB-200: the source language is a token of the input, the target language the output's first token."""

    tokenizer: Any
    name = "nllb"

    def encode(self, sentences: Sequence[str], *, source: str, target: str) -> list[list[int]]:
        """The input's token ids of each sentence, with the special ones. Raises `TranslationError`."""
        self.first_token(target)
        self.tokenizer.src_lang = _known(self, find_language(source).nllb, source, UnknownSourceError)
        ids: list[list[int]] = self.tokenizer(list(sentences))["input_ids"]
        return ids

    def first_token(self, target: str) -> int | None:
        """The token that the output has to begin with."""
        return int(self.tokenizer.convert_tokens_to_ids(_known(self, find_language(target).nllb, target)))

    def control_token(self, sentence: str) -> str | None:
        """A special token that is spelled out in a sentence, and would be read as one."""
        return next((token for token in self.tokenizer.all_special_tokens if token in sentence), None)


@dataclass(frozen=True)
class Madlad:
    """MADLAD-400: the input begins with the target language, as `<2sw>`; the source language is not told."""

    tokenizer: Any
    name = "madlad"

    def encode(self, sentences: Sequence[str], *, source: str, target: str) -> list[list[int]]:
        """As `Nllb.encode`."""
        madlad = find_language(target).madlad
        code = _known(self, madlad and f"<2{madlad}>", target)
        ids: list[list[int]] = self.tokenizer([f"{code} {sentence}" for sentence in sentences])["input_ids"]
        return ids

    def first_token(self, target: str) -> int | None:
        """None: the output begins with its first word."""
        return None

    def control_token(self, sentence: str) -> str | None:
        """As `Nllb.control_token`."""
        match = _MADLAD_CODE.search(sentence)
        special = (token for token in self.tokenizer.all_special_tokens if token in sentence)
        return match[0] if match else next(special, None)


Family = Nllb | Madlad


def family_of(tokenizer: Any) -> Family:
    """The family that a tokenizer's language tokens belong to. Raises `TranslationError` for another one."""
    vocabulary = tokenizer.get_vocab()
    if "eng_Latn" in vocabulary:
        return Nllb(tokenizer)
    if "<2en>" in vocabulary:
        return Madlad(tokenizer)
    raise TranslationError(
        "its tokenizer has neither NLLB's token eng_Latn nor MADLAD's <2en>: these two families are known"
    )


def _known(family: Family, code: str, language: str, error: type[TranslationError] = TranslationError) -> str:
    if not code or code not in family.tokenizer.get_vocab():
        name = find_language(language).name
        raise error(f"{family.name} does not know {language} ({name})")
    return code
