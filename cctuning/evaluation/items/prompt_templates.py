"""Prompts of questions: one template for each language, data in the folder `prompt_templates`."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from cctuning.settings.near_matches import did_you_mean

_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class PromptTemplate:
    """The text around a question's fields in one language."""

    prompt: str  # with {name} where a field goes
    options: Mapping[str, str] = field(
        default_factory=dict
    )  # texts of options that are the same in all items
    wordings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # field -> its value -> a text

    def render(self, fields: Mapping[str, str]) -> str:
        """The prompt with the fields put in as they are. Raises `KeyError` for a field that is not there."""
        return _PLACE.sub(lambda place: self._text(place[1], fields), self.prompt)

    def fields_of(self, prompt: str) -> dict[str, str] | None:
        """The fields of a prompt that `render` could have written; None where it is not in this template."""
        match = re.fullmatch(self._pattern(), prompt, re.DOTALL)
        if not match:
            return None
        values = match.groupdict()
        for name, texts in self.wordings.items():
            values[name] = next(value for value, text in texts.items() if text == values[name])
        return values

    def options_of(self, prompt: str) -> dict[str, str] | None:
        """The option texts of a prompt by label: the template's own, or those in its lines `(A) {A}`.

        None where the prompt is not in this template.
        """
        fields = self.fields_of(prompt)
        if fields is None:
            return None
        labelled = re.findall(r"^\((\w+)\) \{(\w+)\}$", self.prompt, re.MULTILINE)
        return dict(self.options) or {label: fields[name] for label, name in labelled}

    def _pattern(self) -> str:
        pattern = ""
        for number, part in enumerate(_PLACE.split(self.prompt)):
            if number % 2 == 0:
                pattern += re.escape(part)
            elif part in self.options:
                pattern += re.escape(self.options[part])
            elif part in self.wordings:
                pattern += f"(?P<{part}>{'|'.join(map(re.escape, self.wordings[part].values()))})"
            else:
                pattern += f"(?P<{part}>.*?)"
        return pattern

    def _text(self, name: str, fields: Mapping[str, str]) -> str:
        if name in self.options:
            return self.options[name]
        return self.wordings[name][fields[name]] if name in self.wordings else fields[name]


def find_template(name: str, language: str) -> PromptTemplate:
    """The template of a benchmark (or of another set of wordings) in a language.

    Raises `ValueError` that names the languages where there is none in this one.
    """
    templates = _templates(name)
    if language not in templates:
        raise ValueError(
            f"{name} has no prompt in the language {language!r}{did_you_mean(language, templates)}, only in "
            f"{', '.join(templates)}: add one to cctuning/evaluation/prompt_templates/{name}.yaml"
        )
    return templates[language]


def languages_of(name: str) -> tuple[str, ...]:
    """The languages in which there is a template."""
    return tuple(_templates(name))


@functools.cache
def _templates(name: str) -> dict[str, PromptTemplate]:
    return {language: PromptTemplate(**values) for language, values in load_data(name).items()}


def load_data(name: str) -> dict[str, Any]:
    """The content of a file of the folder `prompt_templates`, by its name without suffix."""
    source = resources.files("cctuning.evaluation").joinpath("prompt_templates", f"{name}.yaml")
    content: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    return content
