"""Texts as sets of character n-grams, for comparing them in any script."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Shingles = npt.NDArray[np.uint64]  # the hashes of a text's n-grams, sorted, each one once

WIDTH = 5  # characters, in scripts that write sounds
WIDE_WIDTH = 3  # in Han, Kana and Hangul, where a character is a word or a syllable

_WIDE = ((0x2E80, 0xA4CF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)

# A shingle that this share of the texts has, and no fewer than this many of them, is of their frame.
FRAME_SHARE = 0.05
FRAME_COUNT = 10


class Grams(NamedTuple):
    """The n-grams of a text, in its order."""

    hashes: npt.NDArray[np.uint64]
    width: int  # characters of each


class _Kept(dict[int, str]):
    """For `str.translate`: letters, marks and digits stay, all else becomes a blank."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if unicodedata.category(character)[0] in "LMN" else " "
        return self[code]


_KEPT = _Kept()


def normalised(text: str) -> str:
    """Upper and lower case, width, punctuation and spaces made the same."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.translate(_KEPT).split())


def grams(text: str) -> Grams:
    """All n-grams of a text as it is `normalised`; of a shorter text, one of all of it."""
    codes = np.frombuffer(normalised(text).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    width = WIDE_WIDTH if _is_wide(codes) else WIDTH
    if not codes.size:
        return Grams(codes, width)
    if codes.size < width:
        codes = np.pad(codes, (0, width - codes.size))
    count = codes.size - width + 1
    hashes = np.full(count, width, dtype=np.uint64)
    for start in range(width):
        hashes = (hashes ^ codes[start : start + count]) * _PRIME
        hashes ^= hashes >> _SHIFT
    return Grams(hashes, width)


def shingles(text: str) -> Shingles:
    """The different n-grams of a text."""
    return _unique(grams(text).hashes)


def frame(texts: Sequence[Grams]) -> Shingles:
    """The frame that many of the texts share: the words of a template around the questions of a data set.

    Two questions are not alike, nor is one contained in a text, because of it.
    """
    if not texts:
        return np.empty(0, dtype=np.uint64)
    hashes, counts = np.unique(np.concatenate([_unique(text.hashes) for text in texts]), return_counts=True)
    return hashes[counts >= max(FRAME_COUNT, FRAME_SHARE * len(texts))]


def distinctive(text: Grams, shared: Shingles) -> Shingles:
    """The different n-grams of a text without those of a frame, and without those that straddle its edges.

    Only a longer stretch of the frame has edges: a frequent word within a question has none.
    """
    if not shared.size or not text.hashes.size:
        return _unique(text.hashes)
    places = np.minimum(np.searchsorted(shared, text.hashes), shared.size - 1)
    in_frame = shared[places] == text.hashes
    left_out = in_frame.copy()
    edges = np.flatnonzero(np.diff(in_frame, prepend=False, append=False)).reshape(-1, 2)
    for start, end in edges[np.diff(edges, axis=1)[:, 0] > text.width]:
        left_out[max(start - text.width + 1, 0) : end + text.width - 1] = True
    return _unique(text.hashes[~left_out])


def jaccard(first: Shingles, second: Shingles) -> float:
    """Size of the intersection over that of the union, in [0, 1]; two empty sets are alike."""
    both = np.intersect1d(first, second, assume_unique=True).size
    union = first.size + second.size - both
    return both / union if union else 1.0


def _unique(hashes: npt.NDArray[np.uint64]) -> Shingles:
    if not hashes.size:
        return hashes
    hashes = np.sort(hashes)
    return hashes[np.append(True, hashes[1:] != hashes[:-1])]  # faster than numpy.unique, which hashes anew


def _is_wide(codes: npt.NDArray[np.uint64]) -> bool:
    if not codes.size or codes.max() < _WIDE[0][0]:
        return False
    wide = np.zeros(codes.size, dtype=bool)
    for first, last in _WIDE:
        wide |= (codes >= first) & (codes <= last)
    return 2 * int(wide.sum()) > codes.size
