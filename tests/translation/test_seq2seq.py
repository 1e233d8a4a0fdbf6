"""NLLB and MADLAD on small random models: against one sentence at a time by hand, and converted."""

import functools
import shutil

import pytest
import torch
from ctranslate2.converters import TransformersConverter
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from cctuning.translation import TranslationError, Untranslated, load_translator, translate_all
from cctuning.translation.translator import output_limit
from tests.translation.models import write_madlad, write_nllb

pytestmark = pytest.mark.slow

SENTENCES = [
    "Mji mkuu wa Kenya ni upi?",
    "Watoto wanacheza mpira",
    "Nzuri sana!",
    "Karibu.",
    "Mji",
    "upi wa mpira wa kila siku uwanjani kwa watoto",
    "Kenya ni upi",
]
KINDS = ("nllb", "madlad")
WRITE = {"nllb": write_nllb, "madlad": write_madlad}
NOT_ENDED = Untranslated("has a translation that does not end within 64 tokens")
LATER = Untranslated("has a translation that does not end within 128 tokens")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The models as transformers saves them, and beside each its conversion."""
    folder = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        WRITE[kind](folder / kind)
        names = [path.name for path in (folder / kind).glob("*token*")]
        names += [path.name for path in (folder / kind).glob("*.model")]
        converter = TransformersConverter(str(folder / kind), copy_files=names)
        converter.convert(str(folder / f"{kind}-converted"))
    return folder


def load(folders, kind, **options):
    return load_translator(kind, model=str(folders / kind), device="cpu", **options)


@functools.cache
def loaded(folder):
    return AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)


@functools.cache
def by_hand(folder, kind, sentence, codes=("swh_Latn", "eng_Latn"), tag="<2en>", beams=1):
    """One sentence, by transformers alone."""
    tokenizer, model = loaded(folder)
    if kind == "nllb":
        tokenizer.src_lang = codes[0]
        inputs, first = tokenizer(sentence, return_tensors="pt"), tokenizer.convert_tokens_to_ids(codes[1])
        assert tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())[0] == codes[0]
    else:
        inputs, first = tokenizer(f"{tag} {sentence}", return_tensors="pt"), None
        assert tag in tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())[:2]
    limit = output_limit(inputs["input_ids"].shape[1])
    most = limit + 1 if beams == 1 else 128
    with torch.no_grad():
        [tokens] = model.generate(**inputs, forced_bos_token_id=first, max_new_tokens=most, num_beams=beams)
    if tokenizer.eos_token_id not in tokens[2 if kind == "nllb" else 1 : 1 + limit].tolist():
        return {64: NOT_ENDED, 128: LATER}[limit]
    text = tokenizer.decode(tokens, skip_special_tokens=True).strip()
    return text or Untranslated(f"has an empty translation of {sentence!r}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_batches_give_what_each_sentence_gives_by_itself(folders, kind, batch_size):
    expected = [by_hand(folders / kind, kind, sentence) for sentence in SENTENCES]
    assert len(set(expected)) > 2 and NOT_ENDED in expected
    translator = load(folders, kind, batch_size=batch_size)
    assert translator.translate(SENTENCES, source="sw", target="en") == expected
    assert translator.translate(SENTENCES[::-1], source="sw", target="en") == expected[::-1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_languages_are_told_by_their_codes(folders, kind):
    codes = {"codes": ("rus_Cyrl", "zho_Hans"), "tag": "<2zh>"}
    expected = [by_hand(folders / kind, kind, sentence, **codes) for sentence in SENTENCES]
    found = load(folders, kind).translate(SENTENCES, source="ru", target="zh-CN")
    assert found == expected
    assert found != load(folders, kind).translate(SENTENCES, source="sw", target="en")


@pytest.mark.parametrize("kind", KINDS)
def test_beams_are_those_of_generate_and_in_the_name(folders, kind):
    expected = [by_hand(folders / kind, kind, sentence, beams=4) for sentence in SENTENCES]
    translator = load(folders, kind, beam_size=4)
    assert translator.translate(SENTENCES, source="sw", target="en") == expected
    greedy = translator.with_beam_size(1)
    assert greedy.translate(SENTENCES, source="sw", target="en") != expected
    assert greedy.name != translator.name


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_its_sentences_in_their_places(folders, kind):
    translator = load(folders, kind)
    single = dict(zip(SENTENCES, translator.translate(SENTENCES, source="sw", target="en"), strict=True))
    ended = [sentence for sentence, found in single.items() if isinstance(found, str)]
    first, second = ended[:2]
    text = f"  {first}\n\n(1) {second}\n（2） {first}\n\n```\n{second}\n```\nhttps://example.org\n12 + 3 ="
    expected = (
        f"  {single[first]}\n\n(1) {single[second]}\n（2） {single[first]}\n\n```\n{second}\n```\n"
        "https://example.org\n12 + 3 ="
    )
    unended = next(sentence for sentence, found in single.items() if found == NOT_ENDED)
    found = translator.translate([text, f"{first}\n{unended}"], source="sw", target="en")
    assert found == [expected, NOT_ENDED]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_converted_model_translates_alike(folders, kind, beam_size):
    converted = load_translator(
        "ctranslate2", model=str(folders / f"{kind}-converted"), device="cpu", beam_size=beam_size
    )
    original = load(folders, kind, beam_size=beam_size)
    found = converted.translate(SENTENCES, source="sw", target="en")
    if beam_size == 1:
        assert found == original.translate(SENTENCES, source="sw", target="en")
    else:  # the two libraries do not end a beam search alike
        assert len(found) == len(SENTENCES)
    assert converted.name.startswith(f"{kind}:{kind}-converted@")
    assert converted.name.endswith(f":ctranslate2:float32:beams={beam_size}")


@pytest.mark.parametrize("kind", ["nllb", "madlad", "ctranslate2"])
def test_a_sentence_without_end_is_cut_at_commas_or_reported(folders, kind):
    name = "nllb-converted" if kind == "ctranslate2" else kind
    translator = load_translator(kind, model=str(folders / name), device="cpu")
    translator.engine.limit = 20
    long = "mji " * 30
    found = translator.translate(["Mji", long, "Mji mkuu wa Kenya, " * 6 + "Mji"], source="sw", target="en")
    assert isinstance(found[1], Untranslated)
    assert "tokens, and the translator reads 20" in found[1].reason
    assert not any("reads 20" in str(one) for one in (found[0], found[2]))


def test_a_converted_model_is_not_asked_beyond_its_positions(folders):
    translator = load_translator("ctranslate2", model=str(folders / "nllb-converted"), device="cpu")
    texts = ["mpira wa kila siku " * count for count in range(2, 60, 3)]
    lengths = [len(row) for row in translator.family.encode(texts, source="sw", target="en")]
    assert min(lengths) < 64 < 126 < max(lengths)  # the model has 128
    found = translator.translate(texts, source="sw", target="en")
    for length, one in zip(lengths, found, strict=True):
        assert ("and the translator reads 126" in str(one)) == (length > 126)


@pytest.mark.parametrize(
    ("kind", "token"), [("nllb", "</s>"), ("nllb", "fra_Latn"), ("madlad", "</s>"), ("madlad", "<2fr>")]
)
def test_what_would_be_read_as_a_token_is_not_translated(folders, kind, token):
    reason = f"holds {token}, which the translator would read as a token of its own"
    found = load(folders, kind).translate([f"Mji {token} mkuu"], source="sw", target="en")
    assert found == [Untranslated(reason)]


def test_a_language_that_the_model_does_not_know(folders):
    for kind, code, name in [("nllb", "la", "Latin"), ("madlad", "de", "German")]:
        with pytest.raises(TranslationError, match=rf"{kind} does not know {code} \({name}\)"):
            load(folders, kind).translate(["Mji"], source="sw", target=code)
    with pytest.raises(TranslationError, match=r"nllb does not know la \(Latin\)"):
        load(folders, "nllb").translate(["Mji"], source="la", target="en")


def test_texts_in_such_a_language_can_be_skipped_but_not_the_target(folders, tmp_path):
    options = {"sources": ["la", "sw"], "cache": tmp_path / "cache.jsonl", "skip_unknown": True}
    latin, swahili = translate_all(load(folders, "nllb"), ["urbs", "Mji"], target="en", **options)
    assert latin.faults == ("nllb does not know la (Latin)",) and not latin.text
    [alone] = load(folders, "nllb").translate(["Mji"], source="sw", target="en")
    assert swahili.text == (alone if isinstance(alone, str) else "")
    with pytest.raises(TranslationError, match=r"nllb does not know la \(Latin\)"):
        translate_all(
            load(folders, "nllb"), ["Wien", "Mji"], target="la", **options | {"sources": ["de", "sw"]}
        )


def test_models_that_are_none_of_these(folders, tmp_path):
    with pytest.raises(
        OSError, match=r"translator\.model=.*madlad: it is a model of madlad, and not of nllb"
    ):
        load_translator("nllb", model=str(folders / "madlad"))
    with pytest.raises(ValueError, match=r"holds no model\.bin of CTranslate2: convert a model with"):
        load_translator("ctranslate2", model=str(folders / "nllb"))
    (folders / "nllb" / "model.safetensors").rename(tmp_path / "model.safetensors")
    try:
        with pytest.raises(OSError, match=r"translator\.model=.*nllb"):
            load(folders, "nllb")
        (folders / "nllb" / "pytorch_model.bin").write_bytes(b"PK")
        with pytest.raises(OSError, match="pickles may run code and are not read"):
            load(folders, "nllb")
    finally:
        shutil.move(tmp_path / "model.safetensors", folders / "nllb" / "model.safetensors")
        (folders / "nllb" / "pytorch_model.bin").unlink()
