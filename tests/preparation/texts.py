"""The comparison of texts written a second time: sets of strings, no hashes, every pair."""

import random
import string
import unicodedata


def grams(text: str, width: int) -> set[str]:
    """All n-grams of a text's letters, marks and digits, words one blank apart."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = (letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in text)
    text = " ".join("".join(kept).split())
    if not text:
        return set()
    return {text[start : start + width] for start in range(max(len(text) - width + 1, 1))}


def jaccard(first: str, second: str, width: int) -> float:
    """Size of the intersection over that of the union."""
    one, other = grams(first, width), grams(second, width)
    return len(one & other) / len(one | other) if one | other else 1.0


def row(instruction: str, output: str, **more: str | None) -> dict[str, str | None]:
    """A record of a row."""
    base = {"language": "en", "instruction": instruction, "instruction_en": instruction, "output": output}
    return {**base, **more}


def story(generator: random.Random, words: int) -> str:
    """Made-up words; two stories share next to nothing."""
    return " ".join("".join(generator.choices(string.ascii_lowercase, k=6)) for _ in range(words))
