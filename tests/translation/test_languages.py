"""The table of languages, and the codes that lead into it."""

import pytest
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

from cctuning.data.fields import is_language_code
from cctuning.translation.languages import _table, find_language
from cctuning.translation.translator import TranslationError

# The languages of the Aya data set, those of the benchmarks, and what files call some of them.
CODES = """
sq am ar ars arz ary acq ajp eu bn ceb da nl en fil fi fr de el gu ht ha hi hu ig id ga it ja jv kn ky ko ku
lt mg ms ml mr ne nso ny ps fa pl pt pa ru sm sr sn zh sd si so es su sw sv ta te th tr uk ur vi wo xh yo zu
bg et qu ro tl zh-Hans zh-Hant zh-CN pt-BR
"""


def test_every_line_has_a_code_a_name_and_a_model():
    table = _table()
    assert all(is_language_code(code) and language.name for code, language in table.items())
    assert all(language.nllb or language.madlad for language in table.values())
    assert len({language.name for language in table.values()}) == len(table)


def test_the_codes_of_nllb_are_those_of_its_tokenizer_and_all_of_them():
    codes = [language.nllb for language in _table().values() if language.nllb]
    assert set(codes) == set(FAIRSEQ_LANGUAGE_CODES)


@pytest.mark.parametrize("code", CODES.split())
def test_languages_of_the_data_are_known_to_nllb_and_the_code_leads_to_their_own_line(code):
    language = find_language(code)
    assert language.nllb
    assert language.code.split("-")[0] == {"tl": "fil"}.get(code, code.split("-")[0])


@pytest.mark.parametrize(
    ("code", "nllb", "madlad"),
    [
        ("sw", "swh_Latn", "sw"),
        ("swh", "swh_Latn", "sw"),
        ("swh_Latn", "swh_Latn", "sw"),
        ("SW", "swh_Latn", "sw"),
        ("zh", "zho_Hans", "zh"),
        ("zh-CN", "zho_Hans", "zh"),
        ("zh-Hans", "zho_Hans", "zh"),
        ("zh-TW", "zho_Hant", "zh_Hant"),
        ("zh-Hant", "zho_Hant", "zh_Hant"),
        ("pt-BR", "por_Latn", "pt"),
        ("arb", "arb_Arab", "ar"),
        ("ary", "ary_Arab", "ary"),
        ("ko", "kor_Hang", "ko"),
        ("ja", "jpn_Jpan", "ja"),
        ("tl", "tgl_Latn", "fil"),
        ("iw", "heb_Hebr", "he"),
        ("sr-Cyrl", "srp_Cyrl", "sr"),
        ("nb", "nob_Latn", "no"),
    ],
)
def test_codes_of_every_manner(code, nllb, madlad):
    language = find_language(code)
    assert (language.nllb, language.madlad) == (nllb, madlad)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sr-Latn", r"sr-Latn is no language .*; near: sr \(Serbian\)"),
        ("swahili", r"'swahili' is no language code .*; near: sw \(Swahili\)"),
        ("xx!", r"'xx!' is no language code"),
        ("und", "und is no language"),
        ("", "'' is no language code"),
    ],
)
def test_what_is_no_language_is_named_with_what_is_near(code, said):
    with pytest.raises(TranslationError, match=said):
        find_language(code)
