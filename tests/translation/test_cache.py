"""`translate_all`: each distinct text once, in the texts' order, and after every interruption the same."""

import subprocess
import sys

import pytest

from cctuning.tools.locks import LockedError
from cctuning.translation import Translation, TranslationError, Untranslated, translate_all
from cctuning.translation.translator import UnknownSourceError
from tests.json_lines import read_lines
from tests.translation.fakes import FakeTranslator

TEXTS = ["habari za asubuhi", "Guten Morgen alle", "habari za asubuhi", "good morning", "mambo vipi rafiki"]
SOURCES = ["sw", "de", "sw", "en", "sw"]
TURNED = ["irabah az ihubusa", "netuG negroM ella", "irabah az ihubusa", "good morning", "obmam ipiv ikifar"]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "translations.jsonl"


def translate(translator, cache, texts=TEXTS, sources=SOURCES, **options):
    return translate_all(translator, texts, sources=sources, target="en", cache=cache, **options)


def written(results):
    return [result.text for result in results]


def test_texts_come_back_in_their_order_and_those_in_the_target_language_as_they_are(cache):
    results = translate(FakeTranslator(), cache)
    assert written(results) == TURNED
    assert [result.translator for result in results] == ["fake", "fake", "fake", "", "fake"]


def test_each_distinct_text_is_asked_once_and_never_again(cache):
    translator = FakeTranslator()
    translate(translator, cache)
    assert sorted(translator.asked) == sorted(
        {(text, source, "en") for text, source in zip(TEXTS, SOURCES, strict=True) if source != "en"}
    )
    again = FakeTranslator()
    assert written(translate(again, cache)) == TURNED
    assert not again.asked


def test_a_text_in_two_languages_is_two_texts(cache):
    translator = FakeTranslator()
    translate(translator, cache, ["chai moto sana", "chai moto sana"], ["sw", "de"])
    assert {source for _, source, _ in translator.asked} == {"sw", "de"}


def test_codes_of_one_language_share_the_cache(cache):
    translate(FakeTranslator(), cache, TEXTS[:1], ["swh"])
    again = FakeTranslator()
    translate(again, cache, TEXTS[:1], ["sw"])
    assert not again.asked


@pytest.mark.parametrize("change", ["translator", "target"])
def test_another_translator_or_target_shares_nothing(cache, change):
    translate(FakeTranslator(), cache)
    other = FakeTranslator(name="other" if change == "translator" else "fake")
    target = "fr" if change == "target" else "en"
    translate_all(other, TEXTS[:1], sources=["sw"], target=target, cache=cache)
    assert len(other.asked) == 1


def test_texts_of_like_length_are_asked_together_the_longest_first(cache):
    texts = ["neno " * count + "moja" for count in (1, 7, 3, 9, 5, 2)]
    translator = FakeTranslator()
    translate(translator, cache, texts, ["sw"] * 6, chunk=2)
    lengths = [[len(text) for text in call] for call in translator.calls]
    assert [length for call in lengths for length in call] == sorted(map(len, texts), reverse=True)
    assert list(map(len, lengths)) == [2, 2, 2]


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_an_interrupted_call_goes_on_where_it_was(cache, calls):
    with pytest.raises(KeyboardInterrupt):
        translate(FakeTranslator(dies_after=calls), cache, chunk=1)
    rest = FakeTranslator()
    assert written(translate(rest, cache, chunk=1)) == TURNED
    assert len(rest.asked) == 3 - calls


def test_after_every_cut_of_the_file_the_result_is_the_same(cache):
    translate(FakeTranslator(), cache)
    whole = cache.read_bytes()
    lines = whole.splitlines(keepends=True)
    ends = {sum(map(len, lines[:count])) for count in range(len(lines) + 1)}
    for size in sorted({end + step for end in ends for step in (-1, 0, 1)} & set(range(len(whole) + 1))):
        cache.write_bytes(whole[:size])
        rest = FakeTranslator()
        assert written(translate(rest, cache)) == TURNED
        kept = sum(len(b"".join(lines[: count + 1])) <= size for count in range(len(lines)))
        assert len(rest.asked) == len(lines) - kept
        assert sorted(cache.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_line_that_is_no_entry_is_named(cache):
    translate(FakeTranslator(), cache)
    lines = cache.read_text(encoding="utf-8").splitlines(keepends=True)
    cache.write_text(lines[0] + "{\n" + "".join(lines[1:]), encoding="utf-8")
    before = cache.read_bytes()
    with pytest.raises(TranslationError, match=r"translations\.jsonl, line 2: is no line of a "):
        translate(FakeTranslator(), cache)
    assert cache.read_bytes() == before


def test_a_person_can_read_the_file(cache):
    translate(FakeTranslator(), cache, TEXTS[:1], SOURCES[:1])
    [entry] = read_lines(cache)
    assert entry["text"] == TEXTS[0] and entry["translation"] == TURNED[0]
    assert (entry["translator"], entry["source"], entry["target"]) == ("fake", "sw", "en")


def test_what_cannot_be_translated_has_its_reason_and_is_not_asked_again(cache):
    results = translate(FakeTranslator(lambda text: Untranslated("is too long")), cache, TEXTS[:1], ["sw"])
    assert results == [Translation("", ("is too long",), "fake")]
    again = FakeTranslator()
    assert translate(again, cache, TEXTS[:1], ["sw"]) == results
    assert not again.asked


def test_faulty_translations_say_so_and_keep_their_text(cache):
    [result] = translate(FakeTranslator(lambda text: text), cache, TEXTS[:1], ["sw"])
    assert result == Translation(TEXTS[0], ("is copied",), "fake")


def test_only_faulty_ones_are_retried_and_a_faulty_retry_does_not_count(cache):
    translator = FakeTranslator(lambda text: text if text.startswith("habari") else text[::-1])
    better = FakeTranslator(name="better")
    results = translate(translator, cache, retry=better)
    assert {text for text, _, _ in better.asked} == {TEXTS[0]}
    assert results[0] == Translation(TURNED[0], (), "better")
    assert results[4].translator == "fake"
    worse = FakeTranslator(lambda text: "", name="worse")
    assert translate(translator, cache, retry=worse)[0] == Translation(TEXTS[0], ("is copied",), "fake")


def test_texts_in_unknown_languages_can_be_skipped_and_are_asked_again_by_a_later_call(cache):
    class NoSwahili(FakeTranslator):
        def translate(self, texts, *, source, target):
            if source == "sw":
                raise UnknownSourceError("fake does not know sw")
            return super().translate(texts, source=source, target=target)

    sources = ["sw", "de", "swx", "en", "sw"]
    results = translate(NoSwahili(), cache, sources=sources, skip_unknown=True, retry=NoSwahili(), chunk=1)
    assert [result.faults[:1] for result in results[::2]] == [
        ("fake does not know sw",),
        (results[2].faults[0],),
        ("fake does not know sw",),
    ]
    assert results[2].faults[0].startswith("swx is no language of languages.tsv")
    assert [result.text for result in results] == ["", TURNED[1], "", "good morning", ""]
    assert written(translate(FakeTranslator(), cache)) == TURNED
    with pytest.raises(TranslationError, match="'xx' is no language"):
        translate_all(FakeTranslator(), TEXTS, sources=SOURCES, target="xx", cache=cache, skip_unknown=True)
    with pytest.raises(UnknownSourceError):
        translate(NoSwahili(name="other"), cache)


def test_progress_counts_what_is_not_there_yet(cache):
    seen = []
    translate(FakeTranslator(), cache, chunk=1, progress=lambda done, total: seen.append((done, total)))
    translate(FakeTranslator(), cache, chunk=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_no_texts_need_nothing(cache):
    assert translate(FakeTranslator(), cache, [], []) == []


@pytest.mark.parametrize(
    ("texts", "sources", "said"),
    [
        (["moja", " "], ["sw", "sw"], r"texts\[1\] is blank"),
        (["moja"], ["sw", "sw"], "1 texts and 2 source languages"),
        (["moja"], ["swx"], "swx is no language of languages.tsv"),
    ],
)
def test_arguments_that_cannot_be_used(cache, texts, sources, said):
    with pytest.raises(ValueError, match=said):
        translate(FakeTranslator(), cache, texts, sources)


HOLD = """
import sys
from cctuning.translation.cache import open_cache
with open_cache(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_two_processes_do_not_share_a_cache(cache):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, cache], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=rf"another process \({other.pid}\) uses {cache}: wait"):
            translate(FakeTranslator(), cache)
    finally:
        other.kill()
        other.communicate()
    assert written(translate(FakeTranslator(), cache)) == TURNED
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]
