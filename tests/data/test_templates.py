import dataclasses
import re
from datetime import datetime

import pytest
from tokenizers import AddedToken
from transformers import AutoTokenizer, LlamaTokenizer

from cctuning.commands import schemas
from cctuning.data.encoding import encode
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.data.templates import TEMPLATES
from tests.tiny import tiny_rows, tiny_tokenizer, with_template

SYSTEM = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Mji?"}]
# As the families put a system message; Mistral has no turn for one.
WITH_SYSTEM = {
    "llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nMji?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "qwen": "<s><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nMji?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "mistral": "<s>[INST] Be brief.\n\nMji?[/INST]",
    "authors_llama": "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nMji?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "authors_qwen": "<s><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nMji?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "authors_mistral": "<s>Be brief.[INST] Mji? [/INST]",
    "plain": "<s>Be brief.\n\n### Instruction:\nMji?\n\n### Response:\n",
    "raw": "Be brief.\n\nMji?",
}
DATED = (
    "{{ bos_token }}{% if not date_string is defined %}{% if strftime_now is defined %}"
    '{% set date_string = strftime_now("%-d %B %Y, %H:%M") %}'
    "{% else %}{% set date_string = 'no date' %}{% endif %}{% endif %}"
    "Today is {{ date_string }}.\n"
    "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
# As Qwen 3's: an empty thought before the last response, which a prompt has where it is asked for.
THINKING = (
    "{{ bos_token }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)


def render(tokenizer, messages, **variables):
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **variables)


# --- System messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(WITH_SYSTEM))
def test_a_system_message_stands_where_the_family_puts_it(name):
    assert render(tiny_tokenizer(name), SYSTEM) == WITH_SYSTEM[name]


@pytest.mark.parametrize("name", sorted(WITH_SYSTEM))
def test_a_role_that_no_template_knows_is_refused(name):
    with pytest.raises(Exception, match="unknown role tool"):
        render(tiny_tokenizer(name), [*SYSTEM, {"role": "tool", "content": "x"}])


@pytest.mark.parametrize("name", ["mistral", "authors_mistral", "plain", "raw"])
def test_a_system_message_in_the_middle_is_refused_where_there_is_no_turn_for_it(name):
    with pytest.raises(Exception, match="must be the first"):
        render(tiny_tokenizer(name), SYSTEM[::-1])


def test_turns_follow_one_another_as_mistral_writes_them():
    turns = [*SYSTEM, {"role": "assistant", "content": "Lima."}, {"role": "user", "content": "Na?"}]
    wanted = "<s>[INST] Be brief.\n\nMji?[/INST] Lima.</s>[INST] Na?[/INST]"
    assert render(tiny_tokenizer("mistral"), turns) == wanted


# As the authors' code writes them: LLaMA-Factory's llama3, qwen and mistral, and the same in their inference.
AUTHORS = {
    "authors_llama": (
        "<s><|start_header_id|>user<|end_header_id|>\n\nMji?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "Lima.<|eot_id|>",
    ),
    "authors_qwen": (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nMji?<|im_end|>\n"
        "<|im_start|>assistant\n",
        "Lima.<|im_end|>",
    ),
    "authors_mistral": ("<s>[INST] Mji? [/INST]", "Lima.</s>"),
}


@pytest.mark.parametrize("name", AUTHORS)
def test_the_authors_prompts_are_theirs_to_the_letter(name):
    prompt, response = AUTHORS[name]
    tokenizer = tiny_tokenizer()
    if not prompt.startswith("<s>"):  # Qwen has no token for it
        from tokenizers import processors

        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    choose_template(tokenizer, name)
    prompts = PromptFormat(tokenizer)
    assert prompts.prompt_text("Mji?") == prompt
    ids = prompts.prompt_ids("Mji?") + prompts.response_ids("Lima.")
    assert tokenizer.decode(ids) == prompt + response
    whole = [{"role": "user", "content": "Mji?"}, {"role": "assistant", "content": "Lima."}]
    rendered = tokenizer.apply_chat_template(whole, tokenize=False)
    assert rendered.rstrip("\n") == prompt + response
    assert not prompts.notes


def test_recipes_offer_the_templates_that_there_are():
    assert set(schemas.TEMPLATES) == set(TEMPLATES)


# --- BOS ----------------------------------------------------------------------------------------------------


def sentencepiece_like_tokenizer(**settings):
    """As Llama 2 and Mistral have it: a mark of a word's start before a text's first word."""
    words = ["<unk>", "<s>", "</s>", "▁", "H", "i", ":", "▁H", "▁Hi", "Hi"]
    merges = [("▁", "H"), ("▁H", "i"), ("H", "i")]
    vocabulary = {word: number for number, word in enumerate(words)}
    return LlamaTokenizer(vocab=vocabulary, merges=merges, **settings)


@pytest.mark.parametrize("adds_bos", [True, False])
def test_raw_prompts_are_what_the_tokenizer_itself_makes_of_the_text(adds_bos):
    tokenizer = sentencepiece_like_tokenizer(add_bos_token=adds_bos)
    choose_template(tokenizer, "raw")
    prompts = PromptFormat(tokenizer)
    ids = prompts.prompt_ids("Hi:")
    assert ids == tokenizer("Hi:")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == [*(["<s>"] if adds_bos else []), "▁Hi", ":"]
    assert prompts.prompt_text("Hi:") == "Hi:"
    assert prompts.response_ids("Hi")[-1] == tokenizer.eos_token_id and not prompts.response_marker


@pytest.mark.parametrize("name", sorted(TEMPLATES))
@pytest.mark.parametrize("adds_bos", [True, False])
def test_built_in_templates_begin_with_bos_where_the_tokenizer_does(name, adds_bos):
    tokenizer = tiny_tokenizer()
    if not adds_bos:  # SmolLM2 and GPT-2 have a BOS that they do not put before a text
        from tokenizers import processors

        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    choose_template(tokenizer, name)
    prompts = PromptFormat(tokenizer)
    assert (prompts.prompt_ids("a")[0] == tokenizer.bos_token_id) == adds_bos
    assert not prompts.notes


def test_a_template_without_the_bos_of_its_tokenizer_is_mentioned():
    template = "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}assistant: "
    [note] = PromptFormat(with_template(template)).notes
    assert "<s>" in note and "bos_token" in note


# --- The date, and arguments --------------------------------------------------------------------------------


def test_a_template_that_writes_the_date_writes_the_same_one_every_day(tmp_path):
    tokenizer = with_template(DATED)
    with pytest.raises(ValueError, match="date"):
        PromptFormat(tokenizer)
    choose_template(tokenizer, "auto")
    prompts = PromptFormat(tokenizer)
    assert prompts.prompt_text("a") == "<s>Today is 26 July 2024, 00:00.\nuser: a</s>assistant: "
    assert any("26 Jul 2024" in note for note in prompts.notes)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert render(again, SYSTEM[1:]) == prompts.prompt_text("Mji?")
    choose_template(again, "auto")
    assert again.chat_template == tokenizer.chat_template


def test_every_form_of_a_date_is_frozen():
    form = " ".join(f"%{code}" for code in [*"aAbBcdDeFHIjmMpSTuUVwWxXyY%", "-d", "-m", "-H"])
    tokenizer = with_template(DATED.replace("%-d %B %Y, %H:%M", form))
    choose_template(tokenizer)
    [written] = re.findall("Today is (.*)\\.\n", PromptFormat(tokenizer).prompt_text("a"))
    assert written == datetime(2024, 7, 26).strftime(form)


def test_a_template_that_draws_is_refused():
    with pytest.raises(ValueError, match="at random"):
        PromptFormat(with_template("{{ ['a', 'b'] | random }}" + TEMPLATES["plain"]))


def test_an_argument_of_a_template_is_saved_with_it(tmp_path):
    tokenizer = with_template(THINKING)
    plain = PromptFormat(tokenizer)
    assert plain.before_response == "<think>\n\n</think>\n\n"
    assert any("<think>" in note and "enable_thinking" in note for note in plain.notes)

    without_thought = plain.prompt_text("a")
    choose_template(tokenizer, "auto", {"enable_thinking": False})
    prompts = PromptFormat(tokenizer)
    assert prompts.before_response == "" and not prompts.notes
    assert prompts.prompt_text("a") == without_thought + "<think>\n\n</think>\n\n"
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert render(again, SYSTEM[1:], enable_thinking=True) == prompts.prompt_text("Mji?")
    choose_template(again, "auto", {"enable_thinking": False})  # the same again
    with pytest.raises(ValueError, match="trained with"):
        choose_template(again, "auto", {"enable_thinking": True})


@pytest.mark.parametrize("value", ["4 Juli, \"'{%\n🙂", 3, 0.5, None, True])
def test_an_argument_reaches_the_template_as_it_is(value):
    tokenizer = with_template(DATED)
    choose_template(tokenizer, "auto", {"date_string": value})
    expected = render(with_template(DATED), SYSTEM[1:], date_string=value)
    assert PromptFormat(tokenizer).prompt_text("Mji?") == expected


def test_what_a_template_sets_itself_can_be_set_otherwise(tmp_path):
    """As Llama 3.2's does, whose own line looks like one that was written before it."""
    own = '{%- if not date_string is defined %}\n    {%- set date_string = "26 Jul 2024" %}\n{%- endif %}\n'
    tokenizer = with_template(own + DATED.replace("strftime_now", "str"))
    choose_template(tokenizer, "auto", {"date_string": "4 July"})
    assert "4 July" in PromptFormat(tokenizer).prompt_text("Mji?")
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    choose_template(again, "auto", {"date_string": "4 July"})
    with pytest.raises(ValueError, match="trained with"):
        choose_template(again, "auto", {"date_string": "5 July"})


def test_an_argument_that_no_template_reads_is_refused():
    with pytest.raises(ValueError, match=r"enable_thinkin\b.*did you mean.*enable_thinking"):
        choose_template(with_template(THINKING), "auto", {"enable_thinkin": False})


def test_the_default_of_several_templates_is_the_one_that_is_used():
    tokenizer = with_template({"default": DATED, "tool_use": "TOOLS"})
    choose_template(tokenizer, "auto", {"date_string": "today"})
    assert PromptFormat(tokenizer).prompt_text("a").startswith("<s>Today is today.")
    assert tokenizer.chat_template["tool_use"] == "TOOLS"


# --- The stop token -----------------------------------------------------------------------------------------


def test_an_added_token_that_is_not_special_stops_no_response():
    tokenizer = with_template(
        "{{ bos_token }}{% for m in messages %}"
        "{% if m.role == 'user' %}{{ 'Q: ' + m.content + '\nA: ' }}"
        "{% else %}{{ m.content + '\n\n' }}{% endif %}{% endfor %}"
    )
    tokenizer.add_tokens([AddedToken("\n\n", special=False, normalized=False)])
    prompts = PromptFormat(tokenizer)
    assert prompts.stop_token_id == tokenizer.eos_token_id
    text = "Nairobi\n\nMombasa"
    assert prompts.response_text(prompts.response_ids(text)) == text


def test_an_end_of_a_response_that_is_no_special_token_is_mentioned():
    prompts = PromptFormat(with_template(TEMPLATES["plain"].replace("eos_token", "'[END]'")))
    assert prompts.stop_token_id == prompts.tokenizer.eos_token_id
    assert any("[END]" in note and "</s>" in note for note in prompts.notes)


def test_a_response_with_the_stop_token_in_it_is_a_bad_row():
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"eos_token": AddedToken("park", special=True, normalized=True)})
    choose_template(tokenizer, "plain")
    rows = tiny_rows(2)
    rows[0] = dataclasses.replace(rows[0], output="a park")
    examples, problems = encode(rows, PromptFormat(tokenizer), cutoff_len=99, english_cutoff_len=99)
    assert len(examples) == 1 and [problem.field for problem in problems] == ["output"]
