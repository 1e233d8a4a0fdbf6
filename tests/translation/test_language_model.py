"""The language model as a translator: what it is asked, what is switched off, and what is reported."""

import logging

import pytest
import torch
from peft import LoraConfig, get_peft_model

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.export import export_monolingual
from cctuning.generation.generate import answer
from cctuning.translation import Untranslated, load_translator
from cctuning.translation.language_model import LanguageModelTranslator, without_fine_tuning
from cctuning.translation.translator import output_limit
from tests.tiny import tiny_llama, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
PROMPTS = PromptFormat(TOKENIZER)
TEXTS = ["Mji mkuu wa Kenya ni upi?", "Париж", "Habari\n(1) ndiyo\n(2) hapana", "เมืองหลวงของญี่ปุ่นคือ?"]
ASKED = [f"Translate the following sentence from Swahili to English.\n {text}" for text in TEXTS]


def model_that_stops(**config):
    """Random; every ninth token ends an answer, so that all answers end."""
    model = tiny_llama(len(TOKENIZER), initializer_range=0.3, max_position_embeddings=1024, **config)
    model.generation_config.eos_token_id = list(range(10, len(TOKENIZER), 9))
    return model.double().eval()


def plain(model, texts=ASKED, **options):
    """The answers of a model that translates nothing: an independent way to the same tokens."""
    return [answer(model, PROMPTS, [text], max_new_tokens=512, **options)[0].text for text in texts]


def translate(model, texts=TEXTS, target="en", **options):
    translator = LanguageModelTranslator(model, PROMPTS, model_name="tiny", **options)
    return translator.translate(texts, source="sw", target=target)


@pytest.fixture(scope="module")
def model():
    return model_that_stops()


def test_it_is_asked_in_the_template_whatever_the_batch(model):
    said = plain(model)
    assert len(set(said)) > 1
    for batch_size in (1, 2, 16):
        assert translate(model, batch_size=batch_size) == said


def test_the_target_is_named(model):
    asked = [text.replace("to English", "to Traditional Chinese") for text in ASKED]
    assert translate(model, target="zh-TW") == plain(model, asked)


def test_beams_change_translations_and_the_name(model):
    greedy = LanguageModelTranslator(model, PROMPTS, model_name="tiny")
    beams = greedy.with_beam_size(4)
    assert beams.name != greedy.name
    expected = plain(model, num_beams=4)
    assert beams.translate(TEXTS, source="sw", target="en") == expected != plain(model)


def test_a_translation_that_does_not_end_is_not_given_out():
    limit = output_limit(len(PROMPTS.response_ids(TEXTS[1])))
    model = model_that_stops()
    model.generation_config.eos_token_id = None
    found = translate(model, TEXTS[1:2])
    assert found == [Untranslated(f"has a translation that does not end within {limit} tokens")]


def test_a_text_without_room_is_not_cut(model):
    long = "Habari " * 400
    short, refused = translate(model, [TEXTS[1], long])
    assert short == plain(model)[1]
    assert isinstance(refused, Untranslated)
    assert "and the model has room for 1,024" in refused.reason


def test_room_is_asked_for_the_translation_of_a_text_and_not_of_the_words_around_it():
    model = model_that_stops()
    prompt, text = len(PROMPTS.prompt_ids(ASKED[1])), len(PROMPTS.response_ids(TEXTS[1]))
    assert output_limit(prompt) > output_limit(text)
    model.config.max_position_embeddings = prompt + output_limit(text)
    assert translate(model, TEXTS[1:2]) == plain(model, ASKED[1:2])
    model.config.max_position_embeddings -= 1
    [refused] = translate(model, TEXTS[1:2])
    assert isinstance(refused, Untranslated)


def test_a_text_with_a_token_of_the_template_is_not_asked(model):
    assert translate(model, ["Habari </s> yako"]) == [
        Untranslated("holds </s>, which the model's tokenizer would read as a token of its own")
    ]


def own_english(model):
    """The answers of a connected model for which each prompt is its own English, one by one."""
    return [
        answer(model, PROMPTS, [text], english=[text], max_new_tokens=512)[0].text
        for text in ASKED  # as its training rows were
    ]


@pytest.mark.parametrize("kind", ["exported", "wrapped"])
@pytest.mark.parametrize("connected", [True, False], ids=["on", "off"])
def test_for_a_connected_model_each_prompt_is_its_own_english(kind, connected, tmp_path):
    wrapped = CCTuningModel.wrap(model_that_stops(), ConnectionConfig())
    if kind == "exported":
        torch.manual_seed(1)
        export_monolingual(wrapped, TOKENIZER, torch.randn(32, 32).double() * 10, tmp_path)
        wrapped = load_model(tmp_path)
        assert own_english(wrapped) != plain(wrapped)
    expected = own_english(wrapped)
    assert expected != plain(model_that_stops())
    wrapped.connected = connected
    assert translate(wrapped) == expected
    assert wrapped.connected is connected


def test_an_export_is_loaded_with_its_connection_and_no_report_of_left_weights(tmp_path, caplog):
    wrapped = CCTuningModel.wrap(model_that_stops(), ConnectionConfig())
    export_monolingual(wrapped, TOKENIZER, torch.randn(32, 32).double(), tmp_path / "exported")
    other = model_that_stops()
    other.register_parameter("left_over", torch.nn.Parameter(torch.ones(1).double()))
    other.save_pretrained(tmp_path / "other")
    TOKENIZER.save_pretrained(tmp_path / "other")
    logger = logging.getLogger("transformers.modeling_utils")
    logger.addHandler(caplog.handler)
    try:
        exported = load_translator("self", model=str(tmp_path / "exported"))
        assert not caplog.records
        load_translator("self", model=str(tmp_path / "other"))  # whose weights nobody knows
        assert "left_over" in caplog.text
    finally:
        logger.removeHandler(caplog.handler)
    expected = own_english(load_model(tmp_path / "exported"))
    assert exported.translate(TEXTS, source="sw", target="en") == expected
    assert ":connected:" in exported.name


def test_an_adapter_is_off_and_on_again():
    torch.manual_seed(0)
    base = model_that_stops()
    expected = plain(base)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, lora_alpha=64)
    adapted = get_peft_model(base, config)
    tuned = plain(adapted)
    assert tuned != expected
    assert translate(adapted) == expected
    assert plain(adapted) == tuned


def test_what_is_switched_off_comes_back_after_an_error():
    wrapped = CCTuningModel.wrap(model_that_stops(), ConnectionConfig())
    wrapped.connected = False
    with pytest.raises(KeyboardInterrupt), without_fine_tuning(wrapped):
        assert wrapped.connected
        raise KeyboardInterrupt
    assert not wrapped.connected


def test_of_an_adapters_folder_the_base_translates(tmp_path):
    base = model_that_stops()
    base.save_pretrained(tmp_path / "base")
    torch.manual_seed(0)
    adapted = get_peft_model(
        base, LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    )
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    adapted.save_pretrained(tmp_path / "run")
    TOKENIZER.save_pretrained(tmp_path / "run")
    translator = load_translator("self", model=str(tmp_path / "run"))
    loaded = translator.model.state_dict()
    assert all(torch.equal(weight, loaded[name]) for name, weight in model_that_stops().state_dict().items())
    assert translator.name.startswith("self:base@")


def test_the_name_changes_with_the_folders_files(tmp_path):
    model_that_stops().save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    names = {load_translator("self", model=str(tmp_path / "model")).name for _ in range(2)}
    model_that_stops(seed=1).save_pretrained(tmp_path / "model")
    names.add(load_translator("self", model=str(tmp_path / "model")).name)
    assert len(names) == 2


def test_the_name_changes_with_the_template_and_the_dtype(tmp_path):
    model_that_stops().save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    own, single, double, other = (
        load_translator("self", model=str(tmp_path / "model"), **options).name
        for options in ({}, {"dtype": "float32"}, {"dtype": "float64"}, {"template": "qwen"})
    )
    assert own == double  # as it was saved
    assert len({own, single, other}) == 3


def test_another_kind_is_named_with_a_near_one():
    with pytest.raises(ValueError, match=r"translator 'fil' is not one of .*; did you mean 'file'\?"):
        load_translator("fil", model="x")
    with pytest.raises(OSError, match=r"translator\.model=no/such"):
        load_translator("self", model="no/such")
