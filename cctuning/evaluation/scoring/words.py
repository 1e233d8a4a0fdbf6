"""Words of any language: what ROUGE-L and F1 count."""

import unicodedata

import regex

_BOUNDARY = regex.compile(r"\b", regex.WORD | regex.VERSION1)  # word boundaries of Unicode's Annex 29
_INVISIBLE = regex.compile(r"\p{Cf}")  # byte-order marks, joiners, directions
_WORD = regex.compile(r"[\p{L}\p{N}]")
_TURKIC_CASE = str.maketrans({"I": "ı", "İ": "i"})
_TURKIC = frozenset({"tr", "az"})
# One letter, by the keyboards of Arabic, Persian and Urdu: kaf, yeh with and without its dots, heh.
_ARABIC_VARIANTS = str.maketrans("كيىہ", "کییه")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʻʹ′´`＇‛", "'"))
_GREEK_ACCENTS = regex.compile(r"[\u0300\u0301\u0313\u0314\u0342\u0345]")


def visible(text: str) -> str:
    """`text` in Unicode's form NFKC (full width is plain width), without characters that show nothing."""
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))


def folded(text: str, language: str = "") -> str:
    """`text` without differences of case, width or code points: NFKC, case folded, no invisible characters.

    In Turkish and Azerbaijani (`tr`, `az`), I and i are two letters and stay so.
    """
    text = visible(text)
    if language.partition("-")[0] in _TURKIC:
        text = text.translate(_TURKIC_CASE)
    return unicodedata.normalize("NFKC", text.casefold())


def equated(text: str, language: str = "") -> str:
    """As `folded`, and without differences that only strict comparisons of answers pass over.

    These are variants of Arabic letters and of apostrophes, accents of Greek (capitals have none), and the
    sign of abbreviation that follows some Thai names.
    """
    text = folded(text.translate(_APOSTROPHES), language).translate(_ARABIC_VARIANTS).replace("\u2044", "/")
    if language.partition("-")[0] == "el":
        text = _GREEK_ACCENTS.sub("", unicodedata.normalize("NFD", text))
        return unicodedata.normalize("NFC", text)
    return text.replace("ฯ", "") if language.partition("-")[0] == "th" else text


def words(text: str) -> list[str]:
    """The words of `text`, without blanks and punctuation.

    They are those of Unicode's word boundaries (Annex 29), which need no dictionary: in scripts with
    blanks, a word with its combining marks (vowel signs of Hindi, Bengali or Telugu, Arabic diacritics) and
    inner apostrophes; a number with its separators; a run of Katakana or of Latin letters; and where nothing
    marks words, single characters with their marks (Chinese, Hiragana, Thai, Lao, Khmer, Burmese).
    """
    return [part for part in _BOUNDARY.split(text) if _WORD.search(part)]
