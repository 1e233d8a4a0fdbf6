import pytest

from cctuning.data.rows import Row
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet
from cctuning.visualization.parallel_texts import Text, draw_parallel, texts_of_items, texts_of_rows


def row(language, text, english):
    return Row(text, text, english, "y", language, None, "rows.jsonl", 1)


def texts(languages="de sw", count=5):
    return [Text(code, f"{code} {n}", f"en {n}") for code in languages.split() for n in range(count)]


def test_rows_bring_their_english_parallel_along():
    found = texts_of_rows(
        [
            row("de", "eins", "one"),
            row("sw", "moja", "one"),
            row("en", "two", "two"),
            row("und", "?", "three"),
        ]
    )
    assert set(found) == {
        Text("de", "eins", "one"),
        Text("sw", "moja", "one"),
        Text("en", "one", "one"),
        Text("en", "two", "two"),
    }


def test_questions_without_a_parallel_are_left_out():
    items = [
        Item(1, "sw", "moja", "one", ("a",)),
        Item(2, "sw", "", "two", ("a",)),
        Item(3, "sw", "c", "", ("a",)),
    ]
    found = texts_of_items([ItemSet(find_benchmark("xnli"), "sw", items)])
    assert set(found) == {Text("sw", "moja", "one"), Text("en", "one", "one")}


def test_a_place_is_the_same_sentence_in_all_languages():
    drawn = draw_parallel(texts(), count=4, seed=0)
    assert len(drawn) == 4 and list(drawn.texts) == ["de", "sw"]
    for place, english in enumerate(drawn.english):
        for language, own in drawn.texts.items():
            assert own[place] == english.replace("en", language)


def test_the_draw_depends_on_the_seed_alone():
    first = draw_parallel(texts(count=50), count=20, seed=1)
    assert draw_parallel(reversed(texts(count=50)), count=20, seed=1) == first
    assert draw_parallel(texts(count=50), count=20, seed=2).english != first.english


def test_the_languages_are_those_named_in_their_order():
    drawn = draw_parallel(texts("de sw tr"), languages=["tr", "de"], count=2, seed=0)
    assert list(drawn.texts) == ["tr", "de"]


def test_only_what_all_have_is_drawn():
    more = [*texts("de", 5), *texts("sw", 3)]
    assert set(draw_parallel(more, count=9, seed=0).english) == {"en 0", "en 1", "en 2"}


def test_a_text_that_stands_for_two_sentences_counts_once():
    same = [*texts("de sw", 4), Text("de", "de 0", "en 9"), Text("sw", "sw 9", "en 9")]
    assert len(draw_parallel(same, count=9, seed=0)) == 4


@pytest.mark.parametrize(
    ("given", "languages", "message"),
    [
        ([], [], "nothing to compare"),
        (texts(), ["de", "se"], r"no texts in 'se'; there are texts in de \(5\), sw \(5\)"),
        (texts(), ["de"], "languages: de alone"),
        (texts("de"), [], "languages: de alone"),
        (texts(count=1), [], "1 sentence in all of de, sw"),
        ([Text("de", "a", "b"), Text("sw", "c", "d")], [], r"0 sentences in all of de, sw.*de and sw: 0"),
    ],
)
def test_what_cannot_be_compared_is_told(given, languages, message):
    with pytest.raises(ValueError, match=message):
        draw_parallel(given, languages=languages, count=9, seed=0)
