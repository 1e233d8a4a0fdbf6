"""Word alignment: which words of parallel texts are each other's translation, found by counting (eflomal).

The model is that of eflomal (Östling and Tiedemann, 2016): Gibbs sampling over IBM 1, HMM and fertility. It
is run by SIL's Thot, which takes a seed; the package `eflomal` itself draws from the system's randomness, and
no two of its runs give the same links.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cctuning.preparation.sdrrl.switching import ParallelText, Switchable
from cctuning.preparation.sdrrl.words import has_letter, split_pieces, with_case_of, word_places
from cctuning.tools.extras import extra
from cctuning.tools.progress import Update

# Parallel texts that a language needs at least: with fewer, too many links are wrong.
FEWEST_TEXTS = 200
_TIMES_LINKED = 2  # a pair of words that is linked but once may be chance
_LONGEST = 1024  # words; Thot links nothing in longer texts


class WordPair(NamedTuple):
    """An English word and one of the other language, both without differences of case."""

    english: str
    other: str


class _Text(NamedTuple):
    pieces: list[str]
    places: list[int]  # of the words

    @property
    def words(self) -> list[str]:
        return [self.pieces[place].casefold() for place in self.places]


class Alignment:
    """The parallel texts of one language, aligned with one another's help."""

    def __init__(
        self, texts: Iterable[ParallelText], *, seed: int, progress: Update = lambda done, total: None
    ) -> None:
        """Each distinct text counts once. Raises `ImportError` without the extra `preparation`."""
        self._texts = {text: (_split(text.english), _split(text.other)) for text in dict.fromkeys(texts)}
        pairs = [(english.words, other.words) for english, other in self._texts.values()]
        self._links = dict(zip(self._texts, align(pairs, seed=seed, progress=progress), strict=True))
        self.word_pairs: Counter[WordPair] = Counter(
            WordPair(english[i], other[j])
            for (english, other), links in zip(pairs, self._links.values(), strict=True)
            for i, j in links
        )

    def switchable(self, text: ParallelText) -> tuple[Switchable, Switchable]:
        """The English text and the other one, which was among those that were aligned.

        Words are exchanged for those of the parallel text. Numbers, words that are the same in both, and
        pairs that are linked nowhere else stay.
        """
        english, other = self._texts[text]
        to_other: dict[int, str] = {}
        to_english: dict[int, str] = {}
        for i, j in self._links[text]:
            left, right = english.pieces[english.places[i]], other.pieces[other.places[j]]
            pair = WordPair(left.casefold(), right.casefold())
            differ = pair.english != pair.other and has_letter(left) and has_letter(right)
            if differ and self.word_pairs[pair] >= _TIMES_LINKED:
                to_other[english.places[i]] = with_case_of(right, left)
                to_english[other.places[j]] = with_case_of(left, right)
        return Switchable(english.pieces, to_other), Switchable(other.pieces, to_english)


def align(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]],
    *,
    seed: int,
    progress: Update = lambda done, total: None,
) -> list[list[tuple[int, int]]]:
    """The words of each pair of texts that both directions of the aligner link, as places in the two lists.

    The same texts and seed give the same links, with any number of threads.
    """
    with extra("preparation"):
        from thot.alignment import EflomalAlignmentModel, SymmetrizationHeuristic, SymmetrizedAlignmentModel
    used = [number for number, pair in enumerate(pairs) if all(pair) and max(map(len, pair)) <= _LONGEST]
    models: list[Any] = []
    for direction in (1, -1):
        model = EflomalAlignmentModel()
        model.seed, model.deterministic, model.emit_training_alignments = seed, True, True
        for number in used:
            source, target = pairs[number][::direction]
            model.add_sentence_pair(list(source), list(target))
        model.start_training()
        rounds = model.scheduled_iterations
        for done in range(rounds):
            model.train()
            progress(done + 1 + rounds * len(models), 2 * rounds)
        model.end_training()
        models.append(model)
    both = SymmetrizedAlignmentModel(*models)
    both.heuristic = SymmetrizationHeuristic.INTERSECTION
    links: list[list[tuple[int, int]]] = [[] for _ in pairs]
    for place, number in enumerate(used):
        matrix = both.get_training_alignment(place)[1].to_numpy()
        links[number] = [(int(i), int(j)) for i, j in zip(*matrix.nonzero(), strict=True)]
    return links


def _split(text: str) -> _Text:
    pieces = split_pieces(text)
    return _Text(pieces, word_places(pieces))


def most_linked(pairs: Mapping[WordPair, int]) -> list[tuple[WordPair, int]]:
    """The pairs that were linked more than once, the most frequent first."""
    counted = [(pair, count) for pair, count in pairs.items() if count >= _TIMES_LINKED]
    return sorted(counted, key=lambda entry: (-entry[1], entry[0]))
