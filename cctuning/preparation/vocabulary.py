"""A model's folder with only the tokens that the texts of some files need."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cctuning.data.prompts import SAMPLE_PROMPTS, PromptFormat, choose_template
from cctuning.data.sources import find_sources
from cctuning.pretrained.loading import load_tokenizer
from cctuning.pretrained.vocabulary import check_same, check_trimmable, ids_of, trim_model, trim_tokenizer


def texts_of(sources: Sequence[str]) -> list[str]:
    """All texts in files of rows or questions, and in those of folders, whatever field they stand in.

    Raises `FileNotFoundError` for a name that is neither, `DataError` for a file that cannot be read, and
    `ValueError` where there is no text.
    """
    for name in sources:
        if not Path(name).exists():
            raise FileNotFoundError(f"--vocabulary {name}: there is no such file or folder")
    texts: set[str] = set()
    for source in find_sources(sources, split=None):
        for record in source.records():
            texts.update(_strings(record.values))
    if not texts:
        raise ValueError(f"there is no text in {', '.join(sources)}")
    return sorted(texts)


def save_trimmed(
    model: Any, tokenizer: Any, texts: Sequence[str], output: Path, *, templates: Sequence[str] = ("auto",)
) -> int:
    """Writes `model` and `tokenizer` to `output` with the tokens that `texts` need, and returns their number.

    A text counts alone, behind a space, and as a prompt in each of the `templates` (see `choose_template`);
    the tokenizer keeps its own template. `model` is changed. Raises `ModelError` for a model or tokenizer
    whose vocabulary cannot be cut, and `ValueError` for a template.
    """
    check_trimmable(model)
    read = [*texts, *(f" {text}" for text in texts), *_prompts(tokenizer, texts, templates)]
    size = model.get_input_embeddings().weight.shape[0]
    trimmed = trim_tokenizer(tokenizer, read, ids=ids_of(model), size=size)
    with TemporaryDirectory() as folder:  # for a tokenizer may be made anew as it is loaded
        trimmed.tokenizer.save_pretrained(folder)
        check_same(tokenizer, load_tokenizer(folder), trimmed.kept, read)
    trim_model(model, trimmed.kept)
    model.save_pretrained(output)
    trimmed.tokenizer.save_pretrained(output)
    return len(trimmed.kept)


def _prompts(tokenizer: Any, texts: Sequence[str], templates: Sequence[str]) -> Iterator[str]:
    """The texts as prompts, with those by which it is found out how a prompt ends."""
    own = tokenizer.chat_template
    for template in templates:
        choose_template(tokenizer, template)
        prompts = PromptFormat(tokenizer)
        yield from map(prompts.prompt_text, [*texts, *SAMPLE_PROMPTS])
        tokenizer.chat_template = own


def _strings(value: Any) -> Iterator[str]:
    """All strings in a value as JSON has it, but for keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)
