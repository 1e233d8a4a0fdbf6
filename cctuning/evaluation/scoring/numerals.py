"""Numbers and plain dates in one way of writing, so that "3" equals "3.0" and "٣"."""

import unicodedata
from decimal import Decimal

import regex

# Languages that write 1.234,5 or 1 234,5 where English writes 1,234.5.
_DECIMAL_COMMA = "bg ca da de el es et eu fi fr gl hu id it mk nl no pl pt ro ru sv tr uk vi"
_ARABIC_SEPARATORS = str.maketrans({"٫": ".", "٬": ","})
_GROUPED = {
    ".": regex.compile(r"\d{1,3}(?:\.\d{3})+"),
    ",": regex.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}"),  # also as in India: 1,00,000
}
_APOSTROPHES_IN_NUMBER = regex.compile(r"(?<![\d.,'])\d{1,3}(?:'\d{3})+(?!\d)")
_SIGN = regex.compile(r"(?<![\p{L}\p{M}\p{N}.,)\]-])([-\u2212+])(?=[.,]?\d)")
_MINUS = "\ua7b0"  # a letter that no language writes: with it a number is one word

_BLANKS_IN_NUMBER = regex.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?!\d)")

_DATES = (
    regex.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{1,2})(?:-(?P<d>\d{1,2}))?(?!\d|-\d)"),
    regex.compile(r"(?<!\d)(?P<y>\d{4})\s?[年년]\s?(?P<m>\d{1,2})\s?[月월](?:\s?(?P<d>\d{1,2})\s?[日일号])?"),
    regex.compile(r"(?<![\d.])(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d{4})(?!\d)"),
)


def ascii_digits(text: str) -> str:
    """`text` with the digits of every script as 0 to 9."""
    return "".join(str(unicodedata.digit(character, character)) for character in text)


def signed(text: str) -> str:
    """`text` with the signs of its numbers as a part of them: minus stays, plus goes."""
    return _SIGN.sub(lambda match: "" if match[1] == "+" else _MINUS, text)


def plain_dates(text: str) -> str:
    """`text` with plain dates as "year month day", so that their words can be compared.

    A date is plain where it has a year of four digits and numbers in an order that is never in doubt:
    1945-05-08, 1945-05, 1945年5月8日, 8.5.1945. Names of months are not read.
    """
    for date in _DATES:
        text = date.sub(_year_month_day, text)
    return text


def _year_month_day(match: regex.Match[str]) -> str:
    year, month, day = (match.groupdict().get(part) for part in "ymd")
    if not 1 <= int(month) <= 12 or (day is not None and not 1 <= int(day) <= 31):
        return match[0]
    return " ".join(part for part in (year, month, day) if part is not None)


def joined_thousands(text: str, language: str) -> str:
    """`text` with 10'000 as 10000, and 10 000 in languages that write large numbers so."""
    text = _APOSTROPHES_IN_NUMBER.sub(lambda match: match[0].replace("'", ""), text)
    if not _writes_decimal_comma(language):
        return text
    return _BLANKS_IN_NUMBER.sub(lambda match: match[0].replace(" ", ""), text)


def plain_number(word: str, language: str) -> str:
    """A word that is a number in its shortest form, 3.0 and 3 both as 3; any other word as it is.

    Thousands separators go. By the custom of `language` a single mark before three digits is one of them;
    any other single mark is a decimal one, whichever it is: data are often written the English way.
    """
    if word.startswith(_MINUS):
        number = plain_number(word.removeprefix(_MINUS), language)
        return number if number == "0" else f"-{number}"
    text = word.translate(_ARABIC_SEPARATORS)
    group, point = (".", ",") if _writes_decimal_comma(language) else (",", ".")
    whole, *decimals = text.split(point)
    if _GROUPED[group].fullmatch(whole):
        text = ".".join([whole.replace(group, ""), *decimals])
    elif text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not regex.fullmatch(r"\d+(?:\.\d+)?", text):
        return word
    return f"{Decimal(text).normalize():f}"


def _writes_decimal_comma(language: str) -> bool:
    return language.partition("-")[0] in _DECIMAL_COMMA.split()
