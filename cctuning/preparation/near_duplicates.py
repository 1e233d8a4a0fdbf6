"""Rows that say nearly the same as an earlier row of their language, found by MinHash LSH."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cctuning.data.rows import Row
from cctuning.preparation.shingles import Shingles, distinctive, frame, grams, jaccard, shingles
from cctuning.tools.extras import extra
from cctuning.tools.progress import ProgressBar, progress_bar

PERMUTATIONS = 128


@dataclass(frozen=True)
class NearDuplicate:
    """A row and the earlier one that it repeats."""

    row: Row
    of: Row
    similarity: float  # Jaccard similarity of the prompts


@dataclass(frozen=True)
class _Text:
    """A row as shingles."""

    prompt: Shingles  # without the frame
    whole_prompt: Shingles
    response: Shingles
    numbers: list[str]  # of the prompt


def near_duplicates(rows: Sequence[Row], *, threshold: float, seed: int = 1) -> list[NearDuplicate]:
    """The rows whose prompt and response are both nearly those of an earlier, kept row of their language.

    Nearly: the Jaccard similarity of their character n-grams is `threshold` or more, and the prompts hold the
    same numbers: word problems repeat one story with others. What many rows of a language share
    (`shingles.frame`) does not make them alike. A pair is found with a probability that grows with its
    similarity; none is reported that is less similar. The seed is that of the hash functions.
    """
    by_language: dict[str, list[Row]] = {}
    for row in rows:
        by_language.setdefault(row.language, []).append(row)
    bands = _bands(threshold)
    with progress_bar("near duplicates", len(rows), transient=True) as bar:
        return [
            duplicate
            for language in sorted(by_language)
            for duplicate in _of_language(by_language[language], threshold, bands, seed, bar)
        ]


def _bands(threshold: float) -> tuple[int, int]:
    """The numbers of bands and hashes that find pairs above the threshold: a search that takes a second."""
    # More weight on misses: what is found too much is seen by the exact similarity.
    with extra("preparation"):
        from datasketch import MinHashLSH
    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(1 / 4, 3 / 4))
    return index.b, index.r


def _of_language(
    rows: Sequence[Row], threshold: float, bands: tuple[int, int], seed: int, bar: ProgressBar
) -> Iterator[NearDuplicate]:
    with extra("preparation"):
        from datasketch import MinHash, MinHashLSH
    texts = _texts(rows)
    index = MinHashLSH(num_perm=PERMUTATIONS, params=bands)
    hashes = MinHash.generator(
        ((text.prompt & np.uint64(0xFFFFFFFF)).tolist() for text in texts),
        num_perm=PERMUTATIONS,
        seed=seed,
        hashfunc=int,  # they are hashes already
    )
    for number, (row, text, minhash) in enumerate(zip(rows, texts, hashes, strict=True)):
        bar.advance()
        for earlier in sorted(index.query(minhash)):
            if (similarity := _similarity(text, texts[earlier], threshold)) is not None:
                yield NearDuplicate(row, rows[earlier], similarity)
                break
        else:
            index.insert(number, minhash, check_duplication=False)


def _texts(rows: Sequence[Row]) -> list[_Text]:
    """The rows as shingles, without the frame of their prompts; a prompt that is nothing else stays whole."""
    prompts = [grams(row.instruction) for row in rows]
    shared = frame(prompts)
    rests = [distinctive(prompt, shared) for prompt in prompts]
    return [
        _Text(
            rest if rest.size else whole,
            whole,
            shingles(row.output),
            sorted(re.findall(r"\d+", row.instruction)),
        )
        for row, rest in zip(rows, rests, strict=True)
        for whole in [shingles(row.instruction)]
    ]


def _similarity(text: _Text, other: _Text, threshold: float) -> float | None:
    """The similarity of the prompts, where that and the responses' reach the threshold."""
    if text.numbers != other.numbers:
        return None
    # The whole prompts too: what is left without the frame may be a name that two questions are about.
    pairs = (
        (text.response, other.response),
        (text.whole_prompt, other.whole_prompt),
        (text.prompt, other.prompt),
    )
    for first, second in pairs:
        # No set can be more similar to another than their sizes are.
        sizes = sorted((first.size, second.size))
        if sizes[0] < threshold * sizes[1] or (similarity := jaccard(first, second)) < threshold:
            return None
    return similarity
