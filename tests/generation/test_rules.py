"""What of a model's generation_config.json decides about its answers."""

import pytest
import torch
from transformers import GenerationConfig, WatermarkingConfig

from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import answer
from cctuning.generation.rules import greedy_rules, prepare_to_save, rules_applied, rules_note, stop_tokens
from tests.tiny import tiny_llama, tiny_tokenizer

PROMPTS = PromptFormat(tiny_tokenizer())
QUESTIONS = ["Mji mkuu wa Kenya ni upi?", "Париж", "Capital of Peru, a place far away from here?", "Lima"]


def model(**settings):
    made = tiny_llama(len(PROMPTS.tokenizer), initializer_range=0.3).double().eval()
    for name, value in settings.items():
        setattr(made.generation_config, name, value)
    return made


def answers(made, **more):
    return [said.text for said in answer(made, PROMPTS, QUESTIONS, max_new_tokens=6, **more)]


@pytest.fixture(scope="module")
def greedily():
    """The model's most likely tokens, found by forwards alone."""
    made, found = model(), []
    with torch.no_grad():
        for ids in PROMPTS.prompts_ids(QUESTIONS):
            sequence = torch.tensor([ids])
            while sequence.shape[1] < len(ids) + 6 and sequence[0, -1] != PROMPTS.stop_token_id:
                chosen = made(sequence).logits[:, -1:].argmax(-1)
                sequence = torch.cat([sequence, chosen], dim=1)
            found.append(PROMPTS.response_text(sequence[0, len(ids) :].tolist()))
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {"num_beams": 2, "num_return_sequences": 2},
        {"num_beams": 3, "length_penalty": 2.0},
        {"do_sample": True, "temperature": 9.0, "num_return_sequences": 2},
        {"guidance_scale": 3.0},
        {"suppress_tokens": list(range(40, 380))},
        {"begin_suppress_tokens": list(range(40, 380))},
        {"forced_eos_token_id": 77},
        {"sequence_bias": {(77,): 100.0}},
        {"bad_words_ids": [[token] for token in range(40, 380)]},
        {"max_time": 1e-9},
        {"watermarking_config": WatermarkingConfig(bias=50.0)},
        {"exponential_decay_length_penalty": (1, 9.0)},
        {"min_new_tokens": 6},
        {"stop_strings": ["a", "e", "i"]},
        {"return_dict_in_generate": True, "output_scores": True},
        {"is_assistant": True},
        {"cache_implementation": "offloaded"},
        {"cache_implementation": "quantized"},
        {"cache_implementation": "static"},
        {"prompt_lookup_num_tokens": 3},
        {"penalty_alpha": 0.6, "top_k": 4},
        {"use_cache": False},
        {"max_length": 3},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_nothing_but_end_tokens_and_penalties_changes_an_answer(settings, greedily):
    made = model(**settings)
    before = made.generation_config
    assert answers(made) == greedily
    assert made.generation_config is before
    passed_over = rules_applied(before, PROMPTS)["passed_over"]
    assert set(passed_over) >= set(settings) - {"max_length", "use_cache"}


@pytest.mark.parametrize("settings", [{"repetition_penalty": 3.0}, {"no_repeat_ngram_size": 1}])
def test_a_penalty_of_the_model_applies_and_is_named(settings, greedily):
    made = model(**settings)
    assert answers(made) != greedily
    assert answers(made) == answers(model(), **settings)
    assert rules_applied(made.generation_config, PROMPTS).items() >= settings.items()
    assert next(iter(settings)) in rules_note(made.generation_config)


def test_what_is_asked_for_in_a_call_applies(greedily):
    assert answers(model(), num_beams=4) != greedily


def test_end_tokens_of_model_and_template_end_a_response():
    made = model(eos_token_id=[77, 99])
    assert stop_tokens(made, PROMPTS) == sorted({77, 99, PROMPTS.stop_token_id})
    assert rules_applied(made.generation_config, PROMPTS)["eos_token_id"] == stop_tokens(made, PROMPTS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eos_token_id", "</s>"),
        ("eos_token_id", [1, 2.5]),
        ("eos_token_id", True),
        ("eos_token_id", -1),
        ("repetition_penalty", "much"),
        ("repetition_penalty", -1.0),
        ("no_repeat_ngram_size", 2.5),
    ],
)
def test_what_is_no_token_or_penalty_is_one_clear_error(name, value):
    with pytest.raises(ValueError, match=f"generation_config.json: {name}"):
        greedy_rules(model(**{name: value}), PROMPTS)


def test_sampling_is_no_surprise_and_beams_are():
    assert rules_note(GenerationConfig(do_sample=True, temperature=0.6, top_p=0.9)) == ""
    note = rules_note(GenerationConfig(do_sample=True, num_beams=2, guidance_scale=2.0))
    assert "num_beams" in note and "guidance_scale" in note and "do_sample" not in note


def test_a_configuration_that_cannot_be_saved_is_made_one_that_can(tmp_path):
    made = model(temperature=0.9, top_p=0.6, repetition_penalty=1.1)
    with pytest.raises(ValueError, match="temperature"):
        made.save_pretrained(tmp_path)
    prepare_to_save(made.generation_config, PROMPTS)
    made.save_pretrained(tmp_path)
    saved = GenerationConfig.from_pretrained(tmp_path)
    assert saved.repetition_penalty == 1.1 and saved.temperature is None
    assert saved.eos_token_id == PROMPTS.stop_token_id


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"top_k": 0}, {"pad_token_id": -1, "top_p": 0.5}])
def test_zeros_and_a_missing_padding_do_not_keep_it_from_being_saved(settings, tmp_path):
    config = GenerationConfig(**settings)
    dropped = prepare_to_save(config, PROMPTS)
    config.save_pretrained(tmp_path)
    assert set(dropped) == set(settings) - {"pad_token_id"}
    assert GenerationConfig.from_pretrained(tmp_path).pad_token_id == PROMPTS.pad_token_id


def test_a_valid_configuration_is_saved_as_it_was():
    made = model(do_sample=True, temperature=0.6, top_p=0.9)
    prepare_to_save(made.generation_config, PROMPTS)
    assert (made.generation_config.temperature, made.generation_config.top_p) == (0.6, 0.9)
