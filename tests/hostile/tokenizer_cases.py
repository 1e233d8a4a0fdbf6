"""Tokenizers and chat templates that a model cannot be trained with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from tests.hostile.cases import ANY, Group
from tests.hostile.data_cases import arguments
from tests.scripts import write_rows
from tests.tiny import tiny_tokenizer

CASES = Group("Tokenizers and chat templates")


def with_template(folder: Path, template: str | bytes) -> list[str]:
    """The arguments of a run with this template in a file."""
    write_rows(folder / "rows.jsonl")
    (folder / "mine.jinja").write_bytes(template.encode() if isinstance(template, str) else template)
    return [*arguments(folder), "template=mine.jinja"]


def with_tokenizer(folder: Path, change: Callable[[PreTrainedTokenizerFast], object]) -> list[str]:
    """The arguments of a run with the tiny tokenizer, changed."""
    write_rows(folder / "rows.jsonl")
    run = arguments(folder)
    tokenizer = tiny_tokenizer()
    change(tokenizer)
    tokenizer.save_pretrained(folder / "base")
    return run


# --- Templates ----------------------------------------------------------------------------------------------


@CASES.case(
    "a template that is not there",
    error=(
        "template (on the command line): 'gone.jinja' is not one of auto | llama3 | qwen | "
        "mistral | plain | PATH"
    ),
    status=2,
)
def missing(folder: Path) -> list[str]:
    return [*with_template(folder, "")[:-1], "template=gone.jinja"]


@CASES.case(
    "a folder as a template", error="template=base is neither auto, llama3, qwen, mistral, plain nor a file"
)
def folder_as_template(folder: Path) -> list[str]:
    return [*with_template(folder, "")[:-1], "template=base"]


@CASES.case("a binary file as a template", error="template=mine.jinja is not UTF-8 text, at byte 128")
def binary(folder: Path) -> list[str]:
    return with_template(folder, bytes(range(256)))


@CASES.case("an empty template", error="template=mine.jinja is an empty file")
def empty(folder: Path) -> list[str]:
    return with_template(folder, "")


@CASES.case("a template that Jinja cannot read", error=f"the chat template cannot write a prompt: {ANY}")
def broken(folder: Path) -> list[str]:
    return with_template(folder, "{% for message in messages %}{{ message.content }}")


@CASES.case(
    "a template for tokens that the tokenizer lacks",
    error=(
        "template=llama3 needs the tokens <|start_header_id|>, <|end_header_id|>, <|eot_id|>,"
        " which this tokenizer lacks; use template=plain, or the template of the model's own "
        "family"
    ),
)
def other_family(folder: Path) -> list[str]:
    from tokenizers import Tokenizer, models, pre_tokenizers

    run = with_template(folder, "")[:-1]
    backend = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]").save_pretrained(folder / "base")
    return [*run, "template=llama3"]


@CASES.case(
    "a template that raises an exception of its own",
    error="the chat template cannot write a prompt: System message first",
)
def raising(folder: Path) -> list[str]:
    return with_template(folder, "{{ raise_exception('System message first') }}")


@CASES.case("a template that adds text to a number", error=f"the chat template cannot write a prompt: {ANY}")
def type_error(folder: Path) -> list[str]:
    return with_template(folder, "{{ messages | length + 'x' }}")


@CASES.case("a template that reads another file", error=f"the chat template cannot write a prompt: {ANY}")
def include(folder: Path) -> list[str]:
    return with_template(folder, "{% include 'rows.jsonl' %}")


@CASES.case(
    "a template that reaches for Python's classes", error=f"the chat template cannot write a prompt: {ANY}"
)
def escape(folder: Path) -> list[str]:
    return with_template(folder, "{{ ''.__class__.__mro__[1].__subclasses__() }}")


@CASES.case(
    "a template with a loop of 10 billion steps", error=f"the chat template cannot write a prompt: {ANY}"
)
def loop(folder: Path) -> list[str]:
    return with_template(folder, "{% for i in range(10000000000) %}x{% endfor %}")


@CASES.case(
    "a template that writes 900,000 characters",
    error="the chat template writes 900,011 characters around a prompt",
)
def huge(folder: Path) -> list[str]:
    return with_template(
        folder, "{% for i in range(90000) %}xxxxxxxxxx{% endfor %}{{ messages[0].content }}:{{ eos_token }}"
    )


@CASES.case(
    "a template that leaves the prompt out",
    error="the chat template leaves out or changes the user's message: 'zq7 xk' gives 'user:'",
)
def no_prompt(folder: Path) -> list[str]:
    return with_template(
        folder, "{{ messages[0].role }}:{% if messages[1] %}{{ messages[1].content }}{% endif %}"
    )


@CASES.case(
    "a template that changes the prompt",
    error="the chat template leaves out or changes the user's message: 'zq7 xk' gives 'kx 7qz:'",
)
def changing(folder: Path) -> list[str]:
    return with_template(folder, "{{ messages[0].content | reverse }}:")


@CASES.case(
    "a template that leaves the response out",
    error="the chat template leaves out or changes a response: it writes 'zq7 xk:'",
)
def no_response(folder: Path) -> list[str]:
    return with_template(folder, "{{ messages[0].content }}:")


@CASES.case(
    "a template in which a prompt changes with the response",
    error=(
        "the chat template writes a prompt differently once the response is there, so a model"
        " would be trained on another prompt than it meets at inference: '1zq7 xk:' is no "
        "prefix of '2zq7 xk:kv4 wj:'"
    ),
)
def not_stable(folder: Path) -> list[str]:
    return with_template(folder, "{{ messages | length }}{% for m in messages %}{{ m.content }}:{% endfor %}")


@CASES.case(
    "a template that never opens the response",
    error=(
        "the chat template writes '<|im_start|>assistant\\n' before a response, and leaves it "
        "out of a prompt: it must write it under `if add_generation_prompt`"
    ),
)
def not_opened(folder: Path) -> list[str]:
    return with_template(
        folder, "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    )


@CASES.case(
    "a template that writes nothing after the prompt",
    error=("the chat template adds nothing after the prompt, so no token marks the response start"),
)
def no_marker(folder: Path) -> list[str]:
    return with_template(folder, "{% for m in messages %}{{ m.content }}{% endfor %}")


@CASES.case("a template with BOS twice", error="the chat template begins with <s> twice: write it once")
def bos_twice(folder: Path) -> list[str]:
    return with_template(
        folder,
        "{{ bos_token }}{{ bos_token }}{% for m in messages %}{{ m.content }}:{% endfor %}",
    )


# --- Tokenizers ---------------------------------------------------------------------------------------------


@CASES.case(
    "a tokenizer without EOS, and a template without a stop token",
    error="no token ends a response: the tokenizer has no EOS and the template writes no other",
)
def no_stop_token(folder: Path) -> list[str]:
    def change(tokenizer: PreTrainedTokenizerFast) -> None:
        tokenizer.eos_token = None
        tokenizer.chat_template = "{% for m in messages %}{{ m.content }}:{% endfor %}"

    return with_tokenizer(folder, change)


@CASES.case(
    "a tokenizer without EOS, and the template of base models",
    error="the chat template cannot write a prompt: 'eos_token' is undefined",
)
def no_eos(folder: Path) -> list[str]:
    def change(tokenizer: PreTrainedTokenizerFast) -> None:
        tokenizer.eos_token = None

    return with_tokenizer(folder, change)


@CASES.case(
    "a tokenizer with more tokens than the model has embeddings",
    error=(
        "the tokenizer writes token 383 (Capital of), and the model has embeddings for 383 "
        "tokens: give the model its own tokenizer, or resize its embeddings"
    ),
)
def larger_vocabulary(folder: Path) -> list[str]:
    return with_tokenizer(folder, lambda tokenizer: tokenizer.add_tokens(["Capital of"]))


@CASES.case(
    "a padding token without an embedding",
    error=(
        "the tokenizer writes token 383 (<new>), and the model has embeddings for 383 tokens:"
        " give the model its own tokenizer, or resize its embeddings"
    ),
)
def padding_outside(folder: Path) -> list[str]:
    return with_tokenizer(folder, lambda tokenizer: tokenizer.add_special_tokens({"pad_token": "<new>"}))


@CASES.case("a model folder without a tokenizer", error=f"model_name_or_path=base: {ANY}")
def no_tokenizer(folder: Path) -> list[str]:
    run = with_template(folder, "")[:-1]
    for path in (folder / "base").glob("*token*"):
        path.unlink()
    return run


@CASES.case("a tokenizer.json that ends too early", error=f"model_name_or_path=base: {ANY}")
def truncated_tokenizer(folder: Path) -> list[str]:
    run = with_template(folder, "")[:-1]
    path = folder / "base" / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8")[:1000], encoding="utf-8")
    return run


@CASES.case("a tokenizer_config.json that is no JSON", error=f"model_name_or_path=base: {ANY}")
def broken_config(folder: Path) -> list[str]:
    run = with_template(folder, "")[:-1]
    (folder / "base" / "tokenizer_config.json").write_text("{")
    return run
