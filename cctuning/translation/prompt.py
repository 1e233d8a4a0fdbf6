"""The words in which a language model is asked to translate: in training rows, and by itself.

A model that has learned from rows in these words is asked in them later, in either direction.
"""

from cctuning.translation.languages import find_language

# As in the paper's +MT, the blank behind the line break included.
PROMPT = "Translate the following sentence from {source} to {target}.\n {text}"


def translation_prompt(text: str, *, source: str, target: str) -> str:
    """The prompt that asks for `text` in another language.

    `source` and `target` are language codes as in rows (`sw`, `zh-Hans`), named in English. Raises
    `TranslationError` for one that is not in the table.
    """
    return PROMPT.format(source=find_language(source).name, target=find_language(target).name, text=text)
