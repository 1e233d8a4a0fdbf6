"""Words exchanged: what else there is stays to the last character."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.preparation.sdrrl.lexicon import LexiconError, read_lexicon
from cctuning.preparation.sdrrl.switching import ParallelText, Switchable, switch_words
from cctuning.preparation.sdrrl.words import run_together, split_pieces, with_case_of, word_places

WORDS = ["house", "Haus", "房子", "บ้าน", "घर", "بيت", "3.5", "don't", "😀", "é"]
BETWEEN = [" ", "  ", "\n\n", ", ", "。", "(", "", "\t"]
TEXTS = st.lists(st.sampled_from(WORDS + BETWEEN), max_size=30).map("".join) | st.text(max_size=60)


@given(TEXTS)
def test_pieces_are_the_text(text):
    assert "".join(split_pieces(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The U.S. has 3.5 cats; don't ask.", ["The", "U.S", "has", "3.5", "cats", "don't", "ask"]),
        ("购买家具时，要考虑空间。", ["购买", "家具", "时", "要", "考虑", "空间"]),
        ("ชั้นวางในห้องของเขา", ["ชั้น", "วาง", "ใน", "ห้อง", "ของ", "เขา"]),
        ("भारत की राजधानी", ["भारत", "की", "राजधानी"]),
        ("😀 a, b!", ["a", "b"]),
    ],
)
def test_words_are_whole_in_every_script(text, words):
    pieces = split_pieces(text)
    assert [pieces[place] for place in word_places(pieces)] == words


@given(TEXTS, st.floats(0, 1), st.integers(0, 9), st.data())
def test_all_but_the_exchanged_words_stays(text, share, seed, data):
    pieces = split_pieces(text)
    places = word_places(pieces)
    chosen = data.draw(st.sets(st.sampled_from(places))) if places else set()
    exchanges = {place: data.draw(st.sampled_from(["cat", "猫", "แมว", "Katze"])) for place in chosen}
    switched = switch_words(Switchable(pieces, exchanges), share=share, rng=random.Random(seed))
    if switched is None:
        return
    changed = [place for place, old in enumerate(pieces) if switched[place] != old]
    assert len(switched) == len(pieces) and len(changed) <= max(round(share * len(places)), 1)
    assert all(switched[place] == exchanges[place] for place in changed)
    again = switch_words(Switchable(pieces, exchanges), share=share, rng=random.Random(seed))
    assert again == switched


def test_as_many_words_as_the_share_says():
    pieces = split_pieces("a b c d e f g h i j")
    text = Switchable(pieces, dict.fromkeys(word_places(pieces), "x"))
    shares = [0, *(n / 10 for n in range(1, 11))]
    counts = [switch_words(text, share=share, rng=random.Random(0)).count("x") for share in shares]
    assert counts == [1, *range(1, 11)]


def test_a_word_does_not_run_into_its_neighbour():
    chinese = split_pieces("购买家具")
    both = switch_words(Switchable(chinese, {0: "buy", 1: "furniture"}), share=1, rng=random.Random(0))
    assert "".join(both) in ("buy家具", "购买furniture")
    number = Switchable(split_pieces("3个"), {1: "of"})
    assert switch_words(number, share=1, rng=random.Random(0)) is None
    assert run_together(["a", "b"]) and run_together(["a", "é"])
    assert (
        not run_together(["a", " ", "b"]) and not run_together(["a", "猫"]) and not run_together(["a", "(b"])
    )


def test_no_exchange_is_none():
    assert switch_words(Switchable(split_pieces("a b"), {}), share=1, rng=random.Random(0)) is None


def test_capitals_are_kept():
    assert (with_case_of("haus", "House"), with_case_of("Haus", "house")) == ("Haus", "Haus")
    assert with_case_of("猫", "Cat") == "猫"


def test_a_lexicon_exchanges_in_both_directions(tmp_path):
    path = tmp_path / "en-de.txt"
    path.write_text("cat\tKatze\ncat\tKater\ndog Hund\n\ntaxi\tTaxi\n", encoding="utf-8")
    lexicon = read_lexicon(path)
    english, german = lexicon.switchable(ParallelText("The Cat, a dog, a taxi", "Der HUND jagt Kater, Katze"))
    assert english.exchanges == {2: "Katze", 7: "Hund"}
    assert german.exchanges == {2: "Dog", 6: "Cat", 9: "Cat"}  # capitals as they stood


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cat Katze Kater\n", "line 1: must be an English word"),
        (b"cat\tKatze\ndog\t\n", "line 2: must be an English word"),
        (b"\n", "holds no pairs"),
        (b"cat\t\xff\n", "is not UTF-8 at byte 4"),
    ],
)
def test_a_lexicon_that_is_none(tmp_path, content, message):
    path = tmp_path / "lexicon.txt"
    path.write_bytes(content)
    with pytest.raises(LexiconError, match=message):
        read_lexicon(path)
