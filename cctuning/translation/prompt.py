"""The words in which a language model is asked to translate: in training rows, and by itself.

A model that has learned from rows in these words is asked in them later, in either direction.
"""

from collections.abc import Iterable

from cctuning.data.fields import is_english
from cctuning.translation.languages import find_language, is_known

# As in the paper's +MT, the blank behind the line break included.
PROMPT = "Translate the following sentence from {source} to {target}.\n {text}"


def translation_prompt(text: str, *, source: str, target: str) -> str:
    """The prompt that asks for `text` in another language.

    `source` and `target` are language codes as in rows (`sw`, `zh-Hans`), named in English. Raises
    `TranslationError` for one that is not in the table.
    """
    return PROMPT.format(source=find_language(source).name, target=find_language(target).name, text=text)


def into_english(languages: Iterable[str]) -> dict[str, str]:
    """By code the words that ask for the English of {text}, of all languages that have an English name."""
    known = (language for language in languages if not is_english(language) and is_known(language))
    return {language: translation_prompt("{text}", source=language, target="en") for language in known}
