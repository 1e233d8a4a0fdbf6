"""Tokenizers and chat templates that a model cannot be trained with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from tests.hostile.cases import Table
from tests.hostile.data_cases import arguments
from tests.scripts import write_rows
from tests.tiny import tiny_tokenizer

TABLE = Table("train")
row = TABLE.row


def run(folder: Path, *more: str) -> list[str]:
    """The arguments of a run that would work, and `more`."""
    write_rows(folder / "rows.jsonl")
    return [*arguments(folder), *more]


def template(folder: Path, text: str | bytes) -> list[str]:
    """The arguments of a run with this template in a file."""
    (folder / "mine.jinja").write_bytes(text.encode() if isinstance(text, str) else text)
    return run(folder, "template=mine.jinja")


def tokenizer(folder: Path, change: Callable[[PreTrainedTokenizerFast], object]) -> list[str]:
    """The arguments of a run with the tiny tokenizer, changed."""
    words = run(folder)
    changed = tiny_tokenizer()
    change(changed)
    changed.save_pretrained(folder / "base")
    return words


def without_eos(**more: Any) -> Callable[[PreTrainedTokenizerFast], object]:
    """Takes EOS away, and sets other attributes."""

    def change(changed: PreTrainedTokenizerFast) -> None:
        for name, value in {"eos_token": None, **more}.items():
            setattr(changed, name, value)

    return change


# --- Templates ----------------------------------------------------------------------------------------------

WRITES = "chat template … cannot write"
CONTENTS = "{% for m in messages %}{{ m.content }}:{% endfor %}"


def nested(*texts: str) -> str:
    """Loops in one another, of 100,000 turns each that begin with these texts."""
    turns = "".join("{% for i in range(100000) %}" + text for text in texts)
    return turns + "{% endfor %}" * len(texts)


def linked(folder: Path, link: str, *more: str) -> list[str]:
    """The arguments of a run where `link` leads to a secret."""
    words = run(folder, *more)
    (folder.parent / "secret").write_text("password")
    (folder / link).unlink(missing_ok=True)
    (folder / link).symlink_to(folder.parent / "secret")
    return words


LINK = "link … secret … no template"
row("a link in place of the template", f"chat_template.jinja … {LINK}", linked, "base/chat_template.jinja")
row("a link as a template", f"mine.jinja … {LINK}", linked, "mine.jinja", "template=mine.jinja")

row(
    "a template that is not there",
    "template (on the command line): 'gone.jinja' … auto | llama3 | … | PATH",
    run,
    "template=gone.jinja",
    status=2,
)
row("a folder as a template", "template=base … auto, llama3, qwen, mistral, plain", run, "template=base")
row("a binary file", "template=mine.jinja … UTF-8 … byte 128", template, bytes(range(256)))
row("an empty template", "template=mine.jinja … empty", template, "")
row("broken Jinja", WRITES, template, "{% for message in messages %}{{ message.content }}")
row(
    "an exception of its own",
    f"{WRITES} … System message first",
    template,
    "{{ raise_exception('System message first') }}",
)
row("text added to a number", WRITES, template, "{{ messages | length + 'x' }}")
row("another file included", WRITES, template, "{% include 'rows.jsonl' %}")
row("Python's classes", WRITES, template, "{{ ''.__class__.__mro__[1].__subclasses__() }}")
row("10 billion steps", WRITES, template, "{% for i in range(10000000000) %}x{% endfor %}")
row("a quadrillion turns", f"{WRITES} … far more", template, nested("", "", "") + CONTENTS)
row("100 GB of text", f"{WRITES} … far more", template, "{{ 'x' * 10**11 }}" + CONTENTS)
row("a break without a loop", f"{WRITES} … 'break' outside loop", template, "{% break %}" + CONTENTS)
row("a long error", "characters ...]", template, "{{ raise_exception('x' * 300000) }}")
row(
    "900,000 characters",
    "chat template … 900,011 characters",
    template,
    "{% for i in range(90000) %}xxxxxxxxxx{% endfor %}{{ messages[0].content }}:{{ eos_token }}",
)
row(
    "no prompt",
    "chat template … user's message … 'zq7 xk' … 'user:'",
    template,
    "{{ messages[0].role }}:{% if messages[1] %}{{ messages[1].content }}{% endif %}",
)
row(
    "a changed prompt",
    "chat template … user's message … 'zq7 xk' … 'kx 7qz:'",
    template,
    "{{ messages[0].content | reverse }}:",
)
row("no response", "chat template … response … 'zq7 xk:'", template, "{{ messages[0].content }}:")
row(
    "a prompt that changes with the response",
    "chat template … prompt … response … '1zq7 xk:' … prefix … '2zq7 xk:kv4 wj:'",
    template,
    "{{ messages | length }}" + CONTENTS,
)
row(
    "a response that is never opened",
    "chat template … '<|im_start|>assistant\\n' … prompt … `if add_generation_prompt`",
    template,
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
)
row(
    "nothing after the prompt",
    "chat template … nothing after the prompt … response",
    template,
    "{% for m in messages %}{{ m.content }}{% endfor %}",
)
row("BOS twice", "chat template … <s> twice", template, "{{ bos_token }}{{ bos_token }}" + CONTENTS)


@TABLE.case("template=llama3 … <|start_header_id|>, <|end_header_id|>, <|eot_id|> … template=plain")
def tokens_that_the_tokenizer_lacks(folder: Path) -> list[str]:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = run(folder, "template=llama3")
    backend = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]").save_pretrained(folder / "base")
    return words


# --- Tokenizers ---------------------------------------------------------------------------------------------

row(
    "no EOS and no other stop token",
    "no token ends a response … EOS … template",
    tokenizer,
    without_eos(chat_template=CONTENTS),
)
row("no EOS for the template", f"{WRITES} … 'eos_token'", tokenizer, without_eos())
row(
    "more tokens than embeddings",
    "token 383 (Capital of) … embeddings for 383 tokens … tokenizer",
    tokenizer,
    lambda changed: changed.add_tokens(["Capital of"]),
)
row(
    "padding without an embedding",
    "token 383 (<new>) … embeddings for 383 tokens … tokenizer",
    tokenizer,
    lambda changed: changed.add_special_tokens({"pad_token": "<new>"}),
)
