"""Word alignment: a made-up language whose words are known, in another order."""

import random

import pytest

from cctuning.preparation.sdrrl.parallel import Alignment, ParallelText, align, most_linked

NOUNS = [
    "cat",
    "dog",
    "house",
    "tree",
    "river",
    "stone",
    "bread",
    "water",
    "friend",
    "teacher",
    "garden",
    "window",
    "book",
    "letter",
]
VERBS = ["sees", "wants", "takes", "finds", "carries", "loves"]
LEXICON = {word: f"{word[::-1]}ka" for word in [*NOUNS, *VERBS]}


def texts(count: int, seed: int = 0) -> list[ParallelText]:
    """Sentences `SUBJECT VERB OBJECT.`, and in the other language the verb comes last."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        subject, verb, thing = rng.choice(NOUNS), rng.choice(VERBS), rng.choice(NOUNS)
        place = " Nairobi" if number % 2 else ""
        english = f"{subject.title()} {number % 7} {verb} {thing}{place}."
        other = f"{LEXICON[subject].title()} {number % 7} {LEXICON[thing]} {LEXICON[verb]}{place}!"
        made.append(ParallelText(english, other))
    return made


@pytest.fixture(scope="module")
def alignment() -> Alignment:
    return Alignment(texts(150), seed=1)


def test_words_are_linked_to_their_translation(alignment):
    linked = [(pair, count) for pair, count in most_linked(alignment.word_pairs) if pair.english in LEXICON]
    right = sum(count for pair, count in linked if pair.other == LEXICON[pair.english])
    assert right > 0.95 * sum(count for _, count in linked)
    assert len({pair.english for pair, _ in linked}) >= 0.8 * len(LEXICON)


def test_what_is_the_same_in_both_is_not_exchanged(alignment):
    text = texts(150)[11]
    english, other = alignment.switchable(text)
    assert "".join(english.pieces) == text.english and "".join(other.pieces) == text.other
    replaced = {english.pieces[place]: word for place, word in english.exchanges.items()}
    assert replaced and "4" not in replaced and "Nairobi" not in replaced
    for word, translation in replaced.items():
        assert translation.casefold() == LEXICON[word.casefold()]
        assert translation[0].isupper() == word[0].isupper()
    back = {other.pieces[place].casefold(): word.casefold() for place, word in other.exchanges.items()}
    assert back == {translation.casefold(): word.casefold() for word, translation in replaced.items()}


def test_the_same_seed_gives_the_same_links_and_another_one_others():
    rng = random.Random(5)
    noise = [
        ([rng.choice(NOUNS) for _ in range(6)], [rng.choice(VERBS) for _ in range(6)]) for _ in range(15)
    ]
    links = align(noise, seed=3)
    assert links == align(noise, seed=3) != align(noise, seed=4)


def test_texts_without_words_and_endless_ones_have_no_links():
    pairs = [(["a"], ["b"])] * 5 + [([], ["b"]), (["a"], []), (["a"] * 1025, ["b"])]
    links = align(pairs, seed=0)
    assert links[5:] == [[], [], []] and len(links) == len(pairs)
    assert align([], seed=0) == []


def test_progress_is_told_to_its_end():
    told = []
    align([(["a"], ["b"])] * 3, seed=0, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))
