import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.data.templates import TEMPLATES
from tests.tiny import tiny_tokenizer

STOPS = {"llama3": "<|eot_id|>", "qwen": "<|im_end|>", "mistral": "</s>", "plain": "</s>"}
STOPS |= {"authors_llama": "<|eot_id|>", "authors_qwen": "<|im_end|>", "authors_mistral": "</s>"}
# As the model families write them (Llama 3, Qwen 2.5, Mistral v0.3), behind the BOS of the tokenizer.
CONVERSATIONS = {
    "llama3": "<s><|start_header_id|>user<|end_header_id|>\n\nMji?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nNairobi.<|eot_id|>",
    "qwen": "<s><|im_start|>user\nMji?<|im_end|>\n<|im_start|>assistant\nNairobi.<|im_end|>",
    "mistral": "<s>[INST] Mji?[/INST]Nairobi.</s>",
    "plain": "<s>### Instruction:\nMji?\n\n### Response:\nNairobi.</s>",
}


@pytest.fixture(params=sorted(TEMPLATES))
def template(request):
    return request.param


@pytest.mark.parametrize("template", CONVERSATIONS)
def test_prompt_and_response_are_the_familys_conversation(template):
    tokenizer = tiny_tokenizer(template)
    prompts = PromptFormat(tokenizer)
    ids = prompts.prompt_ids("Mji?") + prompts.response_ids("Nairobi.")
    assert tokenizer.decode(ids) == CONVERSATIONS[template]
    assert ids.count(tokenizer.bos_token_id) <= 1


def test_responses_end_in_the_templates_stop_token(template):
    tokenizer = tiny_tokenizer(template)
    prompts = PromptFormat(tokenizer)
    assert tokenizer.decode([prompts.stop_token_id]) == STOPS[template]
    assert prompts.response_ids("Nairobi.")[-1] == prompts.stop_token_id


@settings(max_examples=30, deadline=None)
@given(text=st.text(min_size=1, max_size=20))
@example(text="<s>")
def test_every_prompt_ends_in_the_marker_and_responses_read_back(text):
    for name in TEMPLATES:
        prompts = PromptFormat(tiny_tokenizer(name))
        marker = prompts.response_marker
        assert prompts.prompt_ids(text)[-len(marker) :] == marker
        if prompts.control_token(text) is None:  # else the row is refused
            assert prompts.response_text(prompts.response_ids(text)) == text.strip()


def test_what_follows_the_stop_token_is_not_the_response():
    prompts = PromptFormat(tiny_tokenizer())
    assert prompts.response_text([*prompts.response_ids("Lima."), *prompts.response_ids("more")]) == "Lima."


def test_a_saved_tokenizer_writes_the_same_prompts(template, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = tiny_tokenizer(template)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    choose_template(again, "auto")
    assert PromptFormat(again).prompt_ids("Mji?") == PromptFormat(tokenizer).prompt_ids("Mji?")


def test_auto_keeps_an_own_template_and_gives_plain_to_a_base_model():
    tokenizer = tiny_tokenizer("qwen")
    choose_template(tokenizer, "auto")
    assert tokenizer.chat_template.endswith(TEMPLATES["qwen"])
    tokenizer.chat_template = None
    choose_template(tokenizer, "auto")
    assert tokenizer.chat_template.endswith(TEMPLATES["plain"])


def test_a_template_can_be_a_file(tmp_path):
    path = tmp_path / "mine.jinja"
    path.write_text("{% for m in messages %}{{ m['content'] + '>' }}{% endfor %}")
    tokenizer = tiny_tokenizer()
    choose_template(tokenizer, str(path))
    assert PromptFormat(tokenizer).prompt_text("a") == "a>"


def test_a_template_without_its_tokens_is_refused():
    tokenizer = tiny_tokenizer()
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(ValueError, match=r"<\|im_start\|>"):
        choose_template(bare, "qwen")
    with pytest.raises(FileNotFoundError, match="llama4"):
        choose_template(tokenizer, "llama4")


def test_no_texts_have_no_tokens():
    prompts = PromptFormat(tiny_tokenizer())
    assert prompts.prompts_ids([]) == [] and prompts.responses_ids([]) == []


def test_raw_is_for_asking_only(tmp_path):
    path = tmp_path / "template.jinja"
    path.write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    tokenizer = tiny_tokenizer()
    choose_template(tokenizer, str(path))
    with pytest.raises(ValueError, match="no token marks the response start"):
        PromptFormat(tokenizer)
