"""Exported models that put prompts into English by themselves, against the translator of the package."""

import pytest
import torch
from transformers import LlamaForCausalLM

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.model import load_model
from cctuning.data.batches import pad
from cctuning.data.prompts import PromptFormat
from cctuning.export import export_monolingual
from cctuning.generation.generate import generate_batch
from cctuning.translation import Untranslated
from cctuning.translation.language_model import LanguageModelTranslator
from cctuning.translation.prompt import into_english
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
PROMPTS = PromptFormat(TOKENIZER)
TEXTS = [row.instruction for row in tiny_rows(9)]
IDS = PROMPTS.prompts_ids(TEXTS)
LANGUAGES = ["sw", "en", "tr", "qaa"]  # the last has no English name


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """In float64, with outputs large enough to change answers, and many tokens that end a response."""
    base = tiny_llama(len(TOKENIZER), initializer_range=0.3).double().eval()
    base.generation_config.eos_token_id = [PROMPTS.stop_token_id, *range(10, 90, 2)]
    base.generation_config.pad_token_id = PROMPTS.pad_token_id
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(1)
    export_monolingual(
        CCTuningModel.wrap(base, ConnectionConfig()),
        TOKENIZER,
        torch.randn(32, 32).double(),
        folder,
        into_english=into_english(LANGUAGES),
    )
    return load_model(folder)


def translations(model, texts):
    translator = LanguageModelTranslator(model, PROMPTS, model_name="self", batch_size=1)
    return translator.translate(texts, source="sw", target="en")


def inputs(ids):
    return dict(zip(("input_ids", "attention_mask"), pad(ids, left=True), strict=True))


def generated(model, ids, **arguments):
    given = inputs(ids)
    out = model.generate(**given, max_new_tokens=5, do_sample=False, **arguments)
    return [row.tolist() for row in out[:, given["input_ids"].shape[1] :]]


def test_only_languages_with_an_english_name_have_words(model):
    assert list(model.config.cctuning["into_english"]["wordings"]) == ["sw", "tr"]


def test_answers_are_those_of_the_translators_english(model):
    english = translations(model, TEXTS)
    kept = [number for number, text in enumerate(english) if not isinstance(text, Untranslated)]
    assert len(kept) > 3
    ids = [IDS[number] for number in kept]
    english_ids = PROMPTS.prompts_ids([english[number] for number in kept])
    expected = generate_batch(model, PROMPTS, ids, english_ids, max_new_tokens=5).tokens.tolist()
    monolingual = generate_batch(model, PROMPTS, ids, max_new_tokens=5).tokens.tolist()
    translated = generated(model, ids, prompt_language="sw")
    assert translated == expected != monolingual
    assert model.connected


@pytest.mark.parametrize("rules", [{}, {"do_sample": True, "temperature": 9.0}], ids=["", "sampling"])
def test_the_english_of_a_batch_is_that_of_each_prompt(model, monkeypatch, rules):
    for name, value in rules.items():  # of answers, and not of translations
        monkeypatch.setattr(model.generation_config, name, value)
    ids, mask, ended = model.english_prompts(**inputs(IDS), language="sw")
    for row, of_row, done, text in zip(ids, mask, ended, translations(model, TEXTS), strict=True):
        assert bool(done) != isinstance(text, Untranslated)
        if done:
            assert row[of_row.bool()].tolist() == PROMPTS.prompt_ids(text)


def test_a_translation_ends_within_its_own_limit_whatever_is_beside_it(model, monkeypatch):
    short, long = PROMPTS.prompts_ids(["a b", " ".join(TEXTS)])
    end = len(TOKENIZER) - 1
    tokens = torch.full((2, 100), 9)
    tokens[:, 80] = end  # beyond the limit of the short one

    def generate(_self, _inputs, *, input_ids, **_arguments):
        return torch.cat([input_ids, tokens[: len(input_ids)]], dim=1)

    monkeypatch.setattr(model.generation_config, "eos_token_id", end)
    monkeypatch.setattr(LlamaForCausalLM, "generate", generate)
    assert model.english_texts(**inputs([short, long]), language="sw")[1] == [False, True]


def test_a_prompt_whose_translation_does_not_end_is_not_connected(model):
    rules = model.generation_config.eos_token_id
    model.generation_config.eos_token_id = len(TOKENIZER) - 1  # which is hardly ever the likeliest
    try:
        ended = model.english_prompts(**inputs(IDS), language="tr")[2][:, 0]
        rows = [number for number, done in enumerate(ended.tolist()) if not done]
        assert rows
        translated = generated(model, IDS, prompt_language="tr")
        model.connected = False
        plain = generated(model, IDS)
    finally:
        model.generation_config.eos_token_id, model.connected = rules, True
    assert [translated[row] for row in rows] == [plain[row] for row in rows]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt_language": "de"}, "'de' .* translates: sw, tr"),
        ({"prompt_language": "sw", "english_input_ids": torch.tensor([[1]])}, "without english_input_ids"),
    ],
)
def test_what_cannot_be_translated(model, arguments, said):
    with pytest.raises(ValueError, match=said):
        generated(model, IDS[:1], **arguments)


def test_prompts_that_are_no_single_message(model):
    turns = TOKENIZER.apply_chat_template(
        [
            {"role": "user", "content": TEXTS[0]},
            {"role": "assistant", "content": "w1"},
            {"role": "user", "content": TEXTS[1]},
        ],
        add_generation_prompt=True,
        return_dict=True,
    )["input_ids"]
    with pytest.raises(ValueError, match=r"row 1 .*several messages"):
        generated(model, [IDS[0], turns], prompt_language="sw")
    with pytest.raises(ValueError, match=r"row 0 .*chat template"):
        generated(model, [IDS[0][2:]], prompt_language="sw")


def test_an_export_without_words_translates_nothing(tmp_path):
    base = tiny_llama(len(TOKENIZER))
    wrapped = CCTuningModel.wrap(base, ConnectionConfig())
    export_monolingual(wrapped, TOKENIZER, torch.randn(32, 32), tmp_path)
    with pytest.raises(ValueError, match=r"'sw'.*none"):
        generated(load_model(tmp_path), IDS[:1], prompt_language="sw")
