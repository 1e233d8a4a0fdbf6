import pytest

from cctuning.data.template_checks import around_response, render
from tests.tiny import tiny_tokenizer, with_template

# As the newest families write them: a thinking block that only the conversation has, texts that are trimmed.
THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize("template", [THINKING, TRIMMING])
def test_templates_that_can_be_trained_with(template):
    thought = "<think>\n\n</think>\n\n" if template is THINKING else ""
    assert around_response(with_template(template)) == (thought, "<|im_end|>\n")


@pytest.mark.parametrize("name", ["llama3", "qwen", "mistral", "plain"])
def test_our_own_can(name):
    before, after = around_response(tiny_tokenizer(name))
    assert not before.strip() and after


def test_a_prompt_that_opens_nothing_is_told_from_one_that_needs_nothing():
    with pytest.raises(ValueError, match="before a response"):
        around_response(with_template(TRIMMING.partition("{% if add")[0]))
    colons = with_template("{% for m in messages %}{{ m.content + ': ' }}{% endfor %}")
    assert around_response(colons) == ("", ": ")


@pytest.mark.parametrize(
    "template",
    ["{{ 1 // 0 }}", "{{ messages[9].content }}", "{{ messages + 1 }}", "{{ ''.__class__.x }}", "{{"],
)
def test_whatever_a_template_does_is_one_error(template):
    with pytest.raises(ValueError, match="the chat template cannot write a prompt"):
        render(with_template(template), [{"role": "user", "content": "x"}], open_response=True)
