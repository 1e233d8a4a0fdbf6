"""Which options of a choice a response names, read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import regex

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.numerals import ascii_digits
from cctuning.evaluation.scoring.words import folded, visible, words

# Letters as translated prompts write them: what stands for A, B, C, ... in lists of that language. Letters
# that lists of one language use for two labels are left out (Russian В is the third, and looks like B).
LOCAL_LETTERS: dict[str, str] = {
    "am": "ሀ ለ ሐ መ ሠ ረ ሰ ሸ",
    "ar": "أ ب ج د هـ و ز ح",
    "bg": "А Б",
    "bn": "ক খ গ ঘ ঙ চ ছ জ",
    "el": "Α Β Γ Δ Ε ΣΤ Ζ Η",
    "hi": "ए बी सी डी ई एफ जी एच",
    "ko": "가 나 다 라 마 바 사 아",
    "ru": "А Б С",
    "th": "ก ข ค ง จ ฉ ช ซ",
    "uk": "А Б С",
    "ur": "ا ب ج د",
}


# What parts the labels of a list: signs, or one short word, which in scripts without blanks needs none.
_AND = (
    r"(?:[^\w.!?:]+|[^\w.!?:\n]+\p{Latin}{1,8}[^\w.!?:\n]+"
    r"|[^\w.!?:\n]*[^\W\d_\p{Latin}]{1,8}[^\w.!?:\n]*)"
)


def named_options(response: str, item: Item, *, at_start: bool = True) -> list[str]:
    """The labels of the options that `response` names, in the order of their last mention.

    Three ways to name an option are tried in turn, and the first that finds any decides:

    1. its label in brackets of any style, anywhere;
    2. its label alone: as the whole response, as its last word, with the labels before it that at most one
       word ("and") parts from it, or, with `at_start`, at its start before a full stop, colon, comma or
       bracket. A last word that stands in the question or an option behind the same word ("vitamin A") is
       none;
    3. its text, as whole words; within a longer option's text a shorter one's does not count.

    Labels are also known in full width, with the digits of any script, and by the letters of lists in the
    item's language; small letters count in brackets and as the whole response. Raises `ValueError` for an
    item without options.
    """
    if not item.options:
        raise ValueError(f"{item.file or 'item'}, id {item.id}: a choice has options, and this item has none")
    text = _plain(response)
    spellings = _spellings(item.options, item.language)
    return (
        _in_brackets(text, spellings)
        or _alone(text, spellings, _asked(item), at_start=at_start)
        or _by_text(response, item.options, item.language)
    )


def _plain(text: str) -> str:
    return ascii_digits(visible(text)).strip()


def _spellings(options: Iterable[str], language: str) -> dict[str, str]:
    """The label by each spelling of it."""
    local = zip("ABCDEFGH", LOCAL_LETTERS.get(language, "").split(), strict=False)
    return {_plain(letter): label for label, letter in local if label in options} | {
        _plain(label): label for label in options
    }


def _in_brackets(text: str, spellings: Mapping[str, str]) -> list[str]:
    labels = {spelling.casefold(): label for spelling, label in spellings.items()}
    pattern = rf"[(\[{{<「【〔《]\s*({_any_of(labels)})\s*[)\]}}>」】〕》]"
    found = regex.finditer(pattern, text.casefold())
    return _by_last_mention((match.start(), labels[match[1]]) for match in found)


def _asked(item: Item) -> str:
    """All that the question says, and its options."""
    whole = _plain("\n".join([item.prompt, item.prompt_en, *(item.options or {}).values()]))
    return " ".join(whole.casefold().split())


def _alone(text: str, spellings: Mapping[str, str], asked: str, *, at_start: bool) -> list[str]:
    bare = regex.sub(r"^\W+|\W+$", "", text).casefold()
    for spelling, label in spellings.items():
        if bare == spelling.casefold():
            return [label]
    # Latin letters and digits may stand right behind a Chinese or Thai word, local letters may not.
    latin, local = r"(?<![\p{Latin}\d.,'’-])(?=[A-Z\d])", r"(?<![\p{L}\p{M}\d.,'’-])(?![A-Z\d])"
    label = rf"({_any_of(spellings)})"
    patterns = (
        [] if _is_quoted(text, label, asked) else [rf"(?:{latin}|{local})(?:{label}{_AND})*{label}\W*$"]
    )
    if at_start:
        patterns.append(rf"^\W*{label}(?:[):、。]|[.,](?!\d))")
    found = (match for pattern in patterns for match in regex.finditer(pattern, text))
    return _by_last_mention(
        (place, spellings[spelling])
        for match in found
        for group, _ in enumerate(match.groups(), start=1)
        for place, spelling in zip(match.starts(group), match.captures(group), strict=True)
    )


def _is_quoted(text: str, label: str, asked: str) -> bool:
    """Whether the last word only looks like a label: behind the same word (of four letters or more, so that
    it is no "is") it stands in what was asked.
    """
    last = regex.search(rf"(?<![\p{{L}}\p{{M}}])([\p{{L}}\p{{M}}]{{4,}})\s+{label}\W*$", text)
    if last is None:
        return False
    words_asked = regex.escape(f"{last[1]} {last[2]}".casefold())
    return regex.search(rf"(?<!\w){words_asked}(?!\w)", asked) is not None


def _by_text(response: str, options: Mapping[str, str], language: str) -> list[str]:
    found = words(folded(response, language))
    spans = []
    for label, text in options.items():
        wanted = words(folded(text, language))
        starts = range(len(found) - len(wanted) + 1) if wanted else ()
        spans += [
            (start, start + len(wanted), label)
            for start in starts
            if found[start : start + len(wanted)] == wanted
        ]
    return _by_last_mention(
        (start, label)
        for start, end, label in spans
        if not any(other <= start and end <= stop and stop - other > end - start for other, stop, _ in spans)
    )


def _any_of(spellings: Iterable[str]) -> str:
    return "|".join(regex.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True))


def _by_last_mention(found: Iterable[tuple[int, str]]) -> list[str]:
    last = {label: place for place, label in sorted(found)}
    return sorted(last, key=lambda label: last[label])
