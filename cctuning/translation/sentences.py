"""Texts as sentences: translation models have learned from single ones, and read only so many tokens.

A text is taken apart into lines and these into sentences, each is translated by itself, and all is put
together again. So the lines of a prompt stay its lines, and an option keeps its label.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sentencex

from cctuning.data.fields import shown
from cctuning.translation.languages import find_language
from cctuning.translation.translator import Untranslated

# A line: what stands before the words and stays as it is, the words, and the blanks behind them. Before
# them may be blanks, a bullet, a number, or a number or single letter in brackets.
_BRACKETED = r"[(（\[【]\s*(?:\d{1,3}|[^\W\d_])\s*[)）\]】][.:：]?\s*"
_LABEL = rf"(?:{_BRACKETED}|\d{{1,2}}[.)](?=\s)\s*|\d{{1,2}}、|[A-Za-z]\)\s+|[-*•·#>]+\s+)"
_LINE = re.compile(rf"(\s*{_LABEL}?)(.*?)(\s*)", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]")
_ADDRESS = re.compile(r"\S+://\S+|\S+@\S+\.\S+")
_FENCE = re.compile(r"\s*(```|~~~)")
_CLAUSE_END = re.compile(r"(?<=[,;:،؛、，；：])")
_UNSPACED = {"Hans", "Hant", "Jpan"}  # scripts without blanks between sentences


@dataclass(frozen=True)
class Piece:
    """A part of a text: one to translate, or one that stays as it is."""

    text: str
    stays: bool


def take_apart(text: str, source: str) -> list[Piece]:
    """The pieces of a text in the language `source`; joined, they are the text.

    What stays: line ends and blanks, labels and bullets at a line's start, lines without letters, addresses,
    and code between fences.
    """
    language = find_language(source).code.split("-")[0]
    pieces: list[Piece] = []
    fenced = False
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line):
            fenced = not fenced
            pieces.append(Piece(line, stays=True))
        elif fenced:
            pieces.append(Piece(line, stays=True))
        else:
            pieces += _line(line, language)
    return [piece for piece in pieces if piece.text]


def _line(line: str, language: str) -> Iterator[Piece]:
    match = _LINE.fullmatch(line)
    assert match  # all of it is optional
    start, words, end = match.groups()
    yield Piece(start, stays=True)
    for sentence in _sentences(words, language):
        core = sentence.strip()
        before, _, after = sentence.partition(core) if core else (sentence, "", "")
        yield Piece(before, stays=True)
        yield Piece(core, stays=_WORD.search(core) is None or bool(_ADDRESS.fullmatch(core)))
        yield Piece(after, stays=True)
    yield Piece(end, stays=True)


def _sentences(words: str, language: str) -> Sequence[str]:
    """The sentences of a line; the line where the library panics, as at a letter, U+3000 and a dot."""
    try:
        return list(sentencex.segment(language, words)) if words else []
    except BaseException as error:  # a panic in Rust is no Exception
        if type(error).__name__ != "PanicException":
            raise
        return [words]


def put_together(pieces: Sequence[Piece], translations: Sequence[str], source: str, target: str) -> str:
    """The text with a translation for each piece that does not stay, in their order.

    Sentences of Chinese and Japanese have no blanks between them, others have.
    """
    gap = _gap(target) if _gap(source) == "" else ""
    remaining = iter(translations)
    parts: list[str] = []
    for number, piece in enumerate(pieces):
        follows_sentence = number > 0 and not pieces[number - 1].stays
        if not piece.stays:
            parts += [gap if follows_sentence else "", next(remaining)]
        elif piece.text == " " and follows_sentence and number + 1 < len(pieces):
            parts.append(_gap(target))
        else:
            parts.append(piece.text)
    return "".join(parts)


def _gap(language: str) -> str:
    """The gap between two sentences of a language."""
    return "" if find_language(language).script in _UNSPACED else " "


def clauses(sentence: str, lengths: Callable[[Sequence[str]], list[int]], limit: int) -> list[str] | None:
    """A sentence in as few parts as have at most `limit` tokens, cut behind commas and the like.

    `lengths` gives the tokens of texts. None where there is nowhere to cut.
    """
    parts: list[str] = []
    for clause in _CLAUSE_END.split(sentence):
        if parts and lengths([parts[-1] + clause])[0] <= limit:
            parts[-1] += clause
        else:
            parts.append(clause)
    parts = [part.strip() for part in parts if part.strip()]
    return parts if max(lengths(parts)) <= limit else None


@dataclass(frozen=True)
class _Plan:
    """The parts of a text to translate, or why it cannot be."""

    pieces: list[Piece]
    parts: list[list[str]]  # of each piece that does not stay
    fault: Untranslated | None


def translate_by_sentence(
    texts: Sequence[str],
    translate: Callable[[Sequence[str]], list[str | Untranslated]],
    lengths: Callable[[Sequence[str]], list[int]],
    *,
    source: str,
    target: str,
    limit: int,
) -> list[str | Untranslated]:
    """Texts translated sentence by sentence; a sentence that several of them hold is translated once.

    `translate` is given sentences of at most `limit` tokens, as `lengths` counts them. A text with a sentence
    that is too long, or that could not be translated, is not translated.
    """
    plans = [_plan(text, lengths, source, limit) for text in texts]
    wanted = dict.fromkeys(part for plan in plans if not plan.fault for parts in plan.parts for part in parts)
    by_sentence = dict(zip(wanted, translate(list(wanted)) if wanted else [], strict=True))
    return [_finished(plan, by_sentence, source, target) for plan in plans]


def _plan(text: str, lengths: Callable[[Sequence[str]], list[int]], source: str, limit: int) -> _Plan:
    pieces = take_apart(text, source)
    sentences = [piece.text for piece in pieces if not piece.stays]
    parts: list[list[str]] = []
    for sentence, length in zip(sentences, lengths(sentences) if sentences else [], strict=True):
        cut = [sentence] if length <= limit else clauses(sentence, lengths, limit)
        if cut is None:
            fault = Untranslated(f"has a sentence of {length:,} tokens, and the translator reads {limit:,}")
            return _Plan(pieces, [], fault)
        parts.append(cut)
    return _Plan(pieces, parts, None)


def _finished(
    plan: _Plan, by_sentence: dict[str, str | Untranslated], source: str, target: str
) -> str | Untranslated:
    if plan.fault:
        return plan.fault
    sentences = []
    for parts in plan.parts:
        translated = []
        for part in parts:
            result = by_sentence[part]
            if isinstance(result, Untranslated):
                return result
            if not result:
                return Untranslated(f"has an empty translation of {shown(part)}")
            translated.append(result)
        sentences.append(_gap(target).join(translated))
    return put_together(plan.pieces, sentences, source, target)
