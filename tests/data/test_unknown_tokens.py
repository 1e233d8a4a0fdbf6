import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from cctuning.commands import evaluate_model, fit_matrix, probe_model, train_model
from cctuning.data.encoding import encode
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.data.rows import Row
from cctuning.data.unknown_tokens import prompts_by_language, unknown_tokens_warning
from tests.scripts import ON_CPU, call, write_rows
from tests.tiny import tiny_llama, tiny_tokenizer

KNOWN = [
    "what",
    "is",
    "the",
    "capital",
    "of",
    "kenya",
    "peru",
    "?",
    ":",
    "###",
    "Instruction",
    "Response",
    "mji",
]


def word_tokenizer(**special):
    """One token a word of `KNOWN`, another one for all other words."""
    words = ["<s>", "</s>", "<unk>", *KNOWN]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | special
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **tokens)
    choose_template(tokenizer, "plain")
    return tokenizer


def prompts_ids(tokenizer, *texts):
    return PromptFormat(tokenizer).prompts_ids(texts)


def test_it_says_of_which_languages_how_much_is_unknown_and_shows_an_example():
    tokenizer = word_tokenizer()
    english = prompts_ids(tokenizer, "what is the capital of kenya ?", "what is the capital of peru ?")
    swahili = prompts_ids(tokenizer, "mji mkuu wa kenya ?", "mji mkuu wa peru ?")
    warning = unknown_tokens_warning(tokenizer, {"en": english, "sw": swahili})
    share = 4 / sum(map(len, swahili))  # mkuu and wa, twice
    assert f"sw {share:.0%}" in warning
    assert "en " not in warning.partition("Share of")[2]
    assert "mji <unk> <unk> kenya" in warning


def test_the_worst_languages_come_first_and_only_they_are_listed():
    tokenizer = word_tokenizer()
    prompts = {f"l{n}": prompts_ids(tokenizer, "mji " * 10 + "mkuu " * n) for n in range(3, 11)}
    warning = unknown_tokens_warning(tokenizer, prompts)
    places = [warning.index(f"l{n} ") for n in (10, 9, 8, 7, 6)]
    assert places == sorted(places)
    assert "l5 " not in warning
    assert "3 more" in warning


@pytest.mark.parametrize("text", ["what is the capital of kenya ?", "what is the capital of " * 8 + "x ?"])
def test_nothing_is_said_where_all_or_nearly_all_is_known(text):
    tokenizer = word_tokenizer()
    assert unknown_tokens_warning(tokenizer, {"en": prompts_ids(tokenizer, text)}) is None


def test_nothing_is_said_of_no_prompts():
    assert unknown_tokens_warning(word_tokenizer(), {"en": []}) is None


def test_a_tokenizer_of_bytes_knows_everything():
    tokenizer = tiny_tokenizer()
    assert tokenizer.unk_token is None
    assert unknown_tokens_warning(tokenizer, {"th": prompts_ids(tokenizer, "เมือง")}) is None


def test_an_unknown_token_that_begins_texts_stands_for_no_word():
    tokenizer = tiny_tokenizer()
    tokenizer.unk_token = tokenizer.bos_token  # as in GPT-2
    assert unknown_tokens_warning(tokenizer, {"th": prompts_ids(tokenizer, "เมือง")}) is None


def test_prompts_of_rows_are_those_in_their_language_and_in_english_without_responses():
    tokenizer = word_tokenizer()
    rows = [
        Row("1", "mji ?", "capital ?", "nairobi", "sw", None, "rows.jsonl", 1),
        Row("2", "the capital ?", "the capital ?", "lima", "en", None, "rows.jsonl", 2),
    ]
    examples, _ = encode(rows, PromptFormat(tokenizer), cutoff_len=99, english_cutoff_len=99)
    swahili, capital, the_capital = prompts_ids(tokenizer, "mji ?", "capital ?", "the capital ?")
    assert prompts_by_language(examples) == {"sw": [swahili], "en": [capital, the_capital, the_capital]}


def test_each_command_that_reads_prompts_says_so(tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.save_pretrained(tmp_path / "base")
    tiny_llama(len(tokenizer)).save_pretrained(tmp_path / "base")
    question = {"language": "sw", "prompt": "mji mkuu wa peru ?", "prompt_en": "capital ?", "answer": ["a"]}
    for language in ("en", "sw"):
        file = tmp_path / "items" / "MKQA" / f"{language}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"id": 1, **question, "language": language}) + "\n")
    settings = ON_CPU | {
        "model_name_or_path": tmp_path / "base",
        "data": write_rows(tmp_path / "rows.jsonl"),
        "output_dir": tmp_path / "run",
        "max_steps": 1,
    }
    run = f"model={tmp_path / 'run'}"
    asked = [run, "benchmarks=[mkqa]", "use_cpu=true", "dry_run=true"]
    ended = {
        "train": call(train_model, *(f"{key}={value}" for key, value in settings.items())),
        "fit": call(fit_matrix, run, "use_cpu=true", "dry_run=true"),
        "evaluate": call(evaluate_model, *asked, "inference=none", f"data={tmp_path / 'items'}"),
        "probe": call(probe_model, *asked, f"pilot={tmp_path / 'items'}"),
    }
    for command, end in ended.items():
        assert end.status == 0, (command, end.err)
        assert "<unk> in their place" in end.out, command
        assert ("mkqa_sw" if command in ("evaluate", "probe") else "sw ") in end.out, command
