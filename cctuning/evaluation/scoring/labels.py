"""Where a response names options by their labels, in every language of the benchmarks."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import regex

from cctuning.evaluation.scoring.answer_phrases import (
    ENDINGS,
    ENDINGS_OF_LOCAL_LETTERS,
    ENGLISH_WORDS,
    NOUNS,
    ONE_LETTER_WORDS,
    REASONS,
    VERBS,
    WITHOUT_BLANKS,
)
from cctuning.evaluation.scoring.articles import ARTICLES
from cctuning.evaluation.scoring.numerals import ascii_digits
from cctuning.evaluation.scoring.words import visible

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

Found = list[tuple[int, str]]  # places and labels

_LETTER = r"[\p{L}\p{M}]"
_SENTENCE_END = regex.compile(r"(?<=[.!?;؟।۔።])\s+|(?<=。)|\n")
_OPEN, _CLOSED = r"(\[{<「【〔《", r")\]}>」】〕》"
_NO_LABEL = "_"  # stands in the place of what only looks like a label


class LabelReader:
    """Reads the labels of one question's options.

    Labels are known in brackets of any style, and alone: with no letter or digit of a word beside them. They
    are also known in full width, with the digits of any script, and by the letters of lists in the
    question's language; small letters count in brackets and as the whole response.

    Args:
        options: labels and texts.
        language: of the question; what is said in English is read as well.
        question_text: both prompts and the options. What stands there behind or before the same word
            ("vitamin A") is no label in a response.
    """

    def __init__(self, options: Mapping[str, str], language: str, question_text: str) -> None:
        language = language.partition("-")[0]
        local = zip("ABCDEFGH", LOCAL_LETTERS.get(language, "").split(), strict=False)
        self.spellings = {_plain(letter): label for label, letter in local if label in options}
        self.spellings |= {_plain(label): label for label in options}
        self.patterns = _patterns(tuple(self.spellings), language)
        self.words = {word for key in ("en", language) for word in ONE_LETTER_WORDS.get(key, "").split()}
        self.question_text = _single_blanks(_plain(question_text))

    def read(self, response: str, *, at_start: bool = True) -> list[str]:
        """The labels that `response` names, in the order of their last mention; none where it names none.

        With `at_start`, a response of several lines whose first one names labels is read there, where other
        lines open with one, and at its end: the rest explains. What is read names the labels in brackets, the
        one that it opens with, and those that its last sentence ends with, if that has none in brackets;
        without any of these, those beside a word for "is" or "answer", or, where the response does not open
        with its answer, the last such sentence's.
        """
        text = _plain(response)
        signs = [match.start() for match in regex.finditer(r"\w", text)]
        bare = text[signs[0] : signs[-1] + 1].casefold() if signs else ""
        for spelling, label in self.spellings.items():
            if bare == spelling.casefold():
                return [label]
        text = self._without_quotes(text)
        first, *others = text.split("\n")
        if at_start and others and (named := self._in_text(first, at_start=True)):
            later = [label for line in others for _, label in self._labels("opening", line)]
            later += [label for _, label in sorted(self._at_end(text))]
            return by_last_mention(enumerate([*named, *later]))
        return self._in_text(text, at_start=at_start)

    def _in_text(self, text: str, *, at_start: bool) -> list[str]:
        opening = self._labels("opening", text) if at_start else []
        in_brackets, at_end = self._in_brackets(text), self._at_end(text)
        if in_brackets and at_end and in_brackets[-1][0] >= _last_sentence_start(text):
            at_end = []  # "(B), not D"
        places = opening + in_brackets + at_end
        if not places:
            sentences = [part for part in _SENTENCE_END.split(text) if regex.search(r"\w", part)]
            named = [labels for labels in map(self._beside_words, sentences) if labels]
            counted = named if at_start else named[-1:]
            return by_last_mention(enumerate(label for labels in counted for _, label in sorted(labels)))
        return by_last_mention(places)

    def _in_brackets(self, text: str) -> Found:
        labels = {spelling.casefold(): label for spelling, label in self.spellings.items()}
        matches = self.patterns["in brackets"].finditer(text)
        return [(match.start(), labels[match[1].casefold()]) for match in matches]

    def _at_end(self, text: str) -> Found:
        """The labels that the last sentence ends with, and in it those behind a verb."""
        start = _last_sentence_start(text)
        last = text[start:]
        closing = self._labels("closing", last)
        places = closing + (self._labels("behind a verb", last) if closing else [])
        return [(start + place, label) for place, label in places]

    def _beside_words(self, sentence: str) -> Found:
        speaks_of_answers = self.patterns["noun"].search(sentence)
        return [
            (place, label)
            for place, label in self._labels("behind a word", sentence)
            + self._labels("before a word", sentence)
            # A number before another word ("2 people") is a label only where an answer is spoken of.
            if speaks_of_answers or not regex.match(r"\d+\s+\p{L}", sentence[place:])
        ]

    def _labels(self, pattern: str, text: str) -> Found:
        return [
            (place, self.spellings[spelling])
            for match in self.patterns[pattern].finditer(text)
            for place, spelling in zip(match.starts("label"), match.captures("label"), strict=True)
        ]

    def _without_quotes(self, text: str) -> str:
        """`text` without what looks like a label and is none: words of one letter, and what was asked."""
        text = self.patterns["word of one letter"].sub(_NO_LABEL, text)
        for pattern in ("after a word", "with a word after"):
            text = self.patterns[pattern].sub(self._unless_in_question, text)
        return text

    def _unless_in_question(self, match: regex.Match[str]) -> str:
        """The match as it is, or without its label where the question has the same words."""
        start, end = (place - match.start() for place in match.span("label"))
        before, label, after = match[0][:start], match[0][start:end], match[0][end:]
        ignored = "" if label in self.words else "i"  # the question's "a" is an article, and no "A"
        before_it, after_it = (regex.escape(_single_blanks(part)) for part in (before, after))
        spelt = rf"(?i:{before_it})(?{ignored}:{regex.escape(label)})(?i:{after_it})"
        if regex.search(rf"(?<!\w){spelt}(?!\w)", self.question_text) is None:
            return match[0]
        return before + _NO_LABEL * len(label) + after


def by_last_mention(mentions: Iterable[tuple[int, str]]) -> list[str]:
    """Labels, each once, in the order of the last place that each was found at."""
    last = {label: place for place, label in sorted(mentions)}
    return sorted(last, key=lambda label: last[label])


def _plain(text: str) -> str:
    return ascii_digits(visible(text)).strip()


def _single_blanks(text: str) -> str:
    return regex.sub(r"[^\S\n]+", " ", text)


def _last_sentence_start(text: str) -> int:
    """The place where the last sentence with a word begins; behind it there may be signs."""
    starts = [0, *(match.end() for match in _SENTENCE_END.finditer(text))]
    return next((start for start in reversed(starts) if regex.search(r"\w", text[start:])), 0)


# --- Patterns -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _patterns(spellings: tuple[str, ...], language: str) -> dict[str, regex.Pattern[str]]:
    """The patterns for responses to questions of a language, by what they find.

    Latin letters and digits may stand right behind a word of another script ("答案是B"), local letters may
    not; right before one they need an ending of `answer_phrases` ("B입니다", but not the blood type "B형").
    """
    any_label = rf"(?P<label>{_any_of(spellings)})"
    next_label = rf"(?:(?<![\p{{Latin}}\d_])(?=[A-Z\d])|(?<!{_LETTER}|[\d_])(?![A-Z\d])){any_label}"
    in_list = rf"{next_label}(?:(?<=[A-Z\d])(?![\p{{Latin}}\d])|(?<![A-Z\d])(?!{_LETTER}))"
    # What parts the labels of a list: signs, or a short word or two, which in some scripts need no blanks.
    gap, word = r"[^\w.!?:\n]", rf"(?!{in_list})[^\W\d_\p{{Latin}}]{{1,8}}"
    latin_word = rf"{gap}+(?!{in_list})\p{{Latin}}{{1,8}}{gap}+"
    parting = rf"(?:[^\w.!?:]+|{latin_word}|{gap}*{word}(?:{gap}+{word})?{gap}*)"
    labels = rf"(?<![.,'’-])(?:{in_list}{parting}){{0,9}}{next_label}{_end_of_label(language)}"
    verb = _words_of(VERBS, language)
    noun = _words_of(NOUNS, language, beginnings=True)
    reason, blank = _words_of(REASONS, language), r"[^\S\n]+"
    article = rf"(?:(?<!{_LETTER})(?:{_listed(ARTICLES, language)})(?!{_LETTER})\W+)?"
    ending = rf"(?:(?:{_listed(ENDINGS, language)})\p{{L}}{{0,2}}){{0,2}}"
    own_noun = "(?!)" if language == "en" else _words_of(NOUNS, language, beginnings=True, english=False)
    # A lookahead for an English word in the sentence; questions in English need none.
    in_english = "" if language == "en" else rf"(?=[^.!?\n]*\b(?i:{'|'.join(ENGLISH_WORDS)})\b)"
    one_letter = (
        rf"(?:{_listed(ONE_LETTER_WORDS, language, english=False)}"
        rf"|(?:{_listed(ONE_LETTER_WORDS, 'en')})(?!\s+{own_noun}){in_english})"
    )
    own_word = rf"(?!{verb}|{noun}|{reason}){_LETTER}{{4,}}"
    spelt = _any_of(spelling.casefold() for spelling in spellings)
    behind_opening = (
        rf"(?:$|\n|\s*[):;、。،؛।—–=]|[.,](?!\d)|{ending}\W*(?:{verb}|{noun})"
        rf"|(?<=[A-Z])\s+(?={_LETTER})|(?<=[A-Z\d])(?={_LETTER}))"
    )
    patterns = {
        "in brackets": rf"[{_OPEN}]\s*((?i:{spelt}))\s*[{_CLOSED}]",
        "opening": rf"^\W*?[{_OPEN}]\s*{any_label}\s*[{_CLOSED}]|^[^\w{_OPEN}]*{labels}{behind_opening}",
        "closing": rf"{labels}{ending}(?:\W*+(?:{verb}|{noun}|{article}(?={noun}))){{0,4}}\W*+$",
        "behind a verb": rf"{verb}\W*{article}{labels}",
        "behind a word": rf"(?:{verb}|{noun}|[:=—–])\W*{article}{labels}",
        "before a word": rf"{labels}{ending}\W*(?:{verb}|{noun})",
        "noun": noun,
        "word of one letter": rf"(?={one_letter}\s)(?<=(?:^|[.!?:]\s+|\n)\W{{0,9}}){one_letter}"
        rf"(?=\s+{_LETTER})(?!\W+{verb}|\W+{reason}|{parting}{next_label})",
        "after a word": rf"(?<!{_LETTER}){own_word}{blank}{any_label}(?!{_LETTER}|\d)",
        "with a word after": rf"(?<!{_LETTER}|\d){any_label}(?!{parting}{next_label})"
        rf"{blank}{own_word}(?!{_LETTER})",
    }
    return {name: regex.compile(pattern) for name, pattern in patterns.items()}


def _end_of_label(language: str) -> str:
    latin, local = (_listed(table, language) for table in (ENDINGS, ENDINGS_OF_LOCAL_LETTERS))
    in_word = rf"{_LETTER}|[\d_]|['’-][\p{{L}}\d]|[.,]\d"
    return rf"(?:(?<=[A-Z\d])(?=(?:{latin}))|(?<![A-Z\d])(?=(?:{local}))|(?!{in_word}))"


def _words_of(
    table: Mapping[str, str], language: str, *, beginnings: bool = False, english: bool = True
) -> str:
    """Finds one of the words of a language, or of English; with `beginnings` also longer words."""
    listed = rf"(?i:{_listed(table, language, english=english)})"
    more = r"[^\W\d_\p{Latin}]{0,8}" if language in WITHOUT_BLANKS else rf"{_LETTER}{{0,15}}"
    after = more if beginnings else rf"(?!{_LETTER})"
    if language in WITHOUT_BLANKS:
        return rf"{listed}{more if beginnings else ''}"
    return rf"(?<!{_LETTER}){listed}{after}"


def _listed(table: Mapping[str, str], language: str, *, english: bool = True) -> str:
    """One of a table's words of a language or of English; what never matches where there are none."""
    keys = dict.fromkeys((language, "en") if english else (language,))
    return (
        _any_of(visible(word) for key in keys for word in table.get(key, "").split()).replace("'", "['’]")
        or "(?!)"
    )


def _any_of(spellings: Iterable[str]) -> str:
    return "|".join(regex.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True))
