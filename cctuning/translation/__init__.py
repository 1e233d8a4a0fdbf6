"""Translation: one interface for translators, a cache of what they wrote, and checks of it."""

from cctuning.translation.cache import translate_all
from cctuning.translation.checks import faults
from cctuning.translation.loading import ENGINES, KINDS, load_translator
from cctuning.translation.translator import Translation, TranslationError, Translator, Untranslated

__all__ = [
    "ENGINES",
    "KINDS",
    "Translation",
    "TranslationError",
    "Translator",
    "Untranslated",
    "faults",
    "load_translator",
    "translate_all",
]
