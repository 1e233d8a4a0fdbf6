"""`cctuning prepare aya` on a copy of Aya's shape: shares, what is left out, and the languages."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.preparation import aya
from cctuning.preparation.aya_source import language_of
from cctuning.preparation.manifest import read_manifest
from cctuning.translation.languages import find_language
from tests.json_lines import write_lines

NAMES = {"swa": "Swahili", "rus": "Russian", "eng": "English", "arb": "Standard Arabic"}


def record(number, code="swa", **more):
    fields = {"inputs": f"Prompt number {number} of {code}", "targets": f"Response {number}"}
    rest = {"language": NAMES.get(code, ""), "language_code": code, "annotation_type": "x", "user_id": "u"}
    return {**fields, **rest, **more}


@pytest.fixture
def prepare(tmp_path):
    def run(records, *arguments):
        source = tmp_path / "aya.jsonl"
        write_lines(source, records)
        status = aya.main([str(source), "--write", str(run.target), *arguments])
        lines = run.target.read_text(encoding="utf-8").splitlines() if run.target.exists() else []
        return status, [json.loads(line) for line in lines]

    run.target = tmp_path / "data" / "aya.jsonl"
    return run


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 30), min_size=1), st.data())
def test_shares_are_level(sizes, data):
    count = data.draw(st.integers(0, sum(sizes.values())))
    given_ = aya.shares(sizes, count)
    assert given_.keys() == sizes.keys()
    assert sum(given_.values()) == count
    assert all(0 <= given_[name] <= sizes[name] for name in sizes)
    # Whoever gives less than another by more than one has no more to give.
    assert all(given_[name] == sizes[name] for name in sizes if given_[name] < max(given_.values()) - 1)
    more = [given_[name] for name in sorted(sizes) if given_[name] < sizes[name]]
    assert more == sorted(more, reverse=True)  # what does not divide evenly comes from the first of them


def test_small_languages_give_all_and_the_rest_is_level(prepare):
    records = [record(n, code) for code, size in (("swa", 50), ("rus", 3), ("arb", 40)) for n in range(size)]
    status, rows = prepare(records, "--rows", "30")
    assert status == 0
    assert Counter(row["language"] for row in rows) == {"ar": 14, "ru": 3, "sw": 13}
    assert len({row["id"] for row in rows}) == 30
    [entry] = read_manifest(prepare.target)
    assert entry["rows"] == {"all": 30, "ar": 14, "ru": 3, "sw": 13}
    assert (entry["seed"], entry["left_out"]) == (42, {"not drawn": 63})


def test_a_row_keeps_its_number_and_english_is_its_own_parallel(prepare):
    _, rows = prepare([record(1, "rus"), record(2, "eng"), record(3, "rus")], "--rows", "3")
    assert [(row["id"], row["language"], row["instruction_en"]) for row in rows] == [
        ("aya:1", "ru", None),
        ("aya:2", "en", "Prompt number 2 of eng"),
        ("aya:3", "ru", None),
    ]
    assert [row["output"] for row in rows] == ["Response 1", "Response 2", "Response 3"]


def test_the_seed_decides(prepare):
    records = [record(number) for number in range(60)]
    draws = [
        [row["id"] for row in prepare(records, "--rows", "20", "--seed", seed)[1]] for seed in ("1", "1", "2")
    ]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0] != [f"aya:{number}" for number in range(1, 21)]


def test_other_languages_do_not_change_a_draw(prepare):
    swahili = [record(number) for number in range(40)]
    alone = prepare(swahili, "--rows", "10")[1]
    beside = prepare([*swahili, *(record(number, "rus") for number in range(40))], "--rows", "20")[1]
    assert alone == [row for row in beside if row["language"] == "sw"]


def test_what_cannot_be_used_is_counted(prepare, capsys):
    bad = [
        record(9, inputs="  prompt NUMBER 1 of swa!"),
        record(9, inputs="x" * 5000),
        record(9, inputs="?"),
        record(9, inputs=None),
        record(9, targets="  "),
        record(9, language_code="no code"),
    ]
    status, rows = prepare(
        [record(1), *bad, record(1, "rus", inputs="Prompt number 1 of swa")], "--rows", "2"
    )
    assert (status, len(rows)) == (0, 2)  # the same prompt in two languages is no repetition
    assert read_manifest(prepare.target)[0]["left_out"] == {
        "a prompt that is there before": 1,
        "longer than 4,000 characters": 1,
        "a prompt of less than 2 characters": 1,
        "no text or no language": 3,
        "not drawn": 0,
    }
    assert "left out: 3 (no text or no language)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([record(1)], "there are 1 rows that can be used: --rows 1 takes them all"),
        (
            [{"input": "a", "targets": "b", "language_code": "swa"}],
            "no column 'inputs'; did you mean 'input'?",
        ),
    ],
)
def test_errors_are_one_line(prepare, records, said, capsys):
    assert prepare(records) == (2, [])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "name", "ours"),
    [
        ("arb", "Standard Arabic", "ar"),
        ("arz", "Egyptian Arabic", "arz"),
        ("ary", "Moroccan Arabic", "ary"),
        ("zho", "Simplified Chinese", "zh-Hans"),
        ("zho", "Traditional Chinese", "zh-Hant"),
        ("swa", "Swahili", "sw"),
        ("pes", "Iranian Persian", "fa"),
        ("msa", "Malay", "ms"),
        ("ind", "Indonesian", "id"),
        ("plt", "Plateau Malagasy", "mg"),
        ("fil", "Filipino", "fil"),
        ("nso", "Northern Sotho", "nso"),
        ("pbt", "Southern Pashto", "ps"),
        ("yor", None, "yo"),
        ("", "", None),
        ("not a code", "Klingon", None),
    ],
)
def test_codes_become_ours(code, name, ours):
    assert language_of(code, name) == ours


# The data set's card lists the macrolanguages, its rows have some of their varieties instead.
AYA_CODES = """
acq amh apc arb ars ary arz ajp ben ceb dan deu ell eng eus fil fin fra gle guj hat hau hin hun ibo ind ita
jav jpn kan kir kor kur lit mal mar mlg msa mya nep nld nso nya pan pes pol por pus rus sin sna snd som spa
sqi srp sun swa swe tam tel tha tur ukr urd vie wol xho yor zho zul
als kmr npi pbt plt swh tgl zsm
"""


@pytest.mark.parametrize("code", AYA_CODES.split())
def test_every_language_of_aya_is_known_to_both_translation_models(code):
    language = find_language(language_of(code))
    assert language.nllb and language.madlad
