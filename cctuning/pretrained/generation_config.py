"""Keys that count of a model's generation_config.json: its end tokens and its penalties, and nothing else.

The file may ask for beams, sampling, several sequences, suppressed tokens, a watermark: each of them gives
other answers than greedy decoding does, and some give answers to other questions.
"""

import math
from typing import Any

from transformers import GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME

# Penalties that a model was made to be asked with, and the value that means none.
_PENALTIES = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
_TOKENS = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id")
# Limits, which whoever asks sets, and what says nothing of how tokens are chosen.
_WITHOUT_EFFECT = (
    "max_length", "max_new_tokens", "transformers_version", "use_cache", "_from_model_config",
)  # fmt: skip


def end_tokens(config: GenerationConfig) -> list[int]:
    """The tokens that end a response. Raises `ValueError` for what are no token ids."""
    known = config.eos_token_id
    listed = [] if known is None else known if isinstance(known, list | tuple) else [known]
    for token in listed:
        if type(token) is not int or token < 0:
            raise _error("eos_token_id", token, "a token id, or a list of them")
    return list(listed)


def penalties(config: GenerationConfig) -> dict[str, Any]:
    """The penalties that differ from none. Raises `ValueError` for what is no penalty."""
    set_values = {name: getattr(config, name, None) for name in _PENALTIES}
    set_values = {name: value for name, value in set_values.items() if value not in (None, _PENALTIES[name])}
    factor, size = set_values.get("repetition_penalty", 1.0), set_values.get("no_repeat_ngram_size", 0)
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not 0 < factor < math.inf:
        raise _error("repetition_penalty", factor, "a number above 0")
    if type(size) is not int or size < 0:
        raise _error("no_repeat_ngram_size", size, "a whole number from 0 on")
    return set_values


def passed_over(config: GenerationConfig) -> list[str]:
    """The settings that have a value and no effect on greedy decoding here, sorted."""
    known = (*_PENALTIES, *_TOKENS, *_WITHOUT_EFFECT)
    held = config.to_diff_dict().items()
    # 0 is a value, though it equals False: a temperature of 0 keeps a configuration from being saved.
    return sorted(
        name
        for name, value in held
        if name not in known and not (value is None or value is False or value in ([], {}))
    )


def greedy(config: GenerationConfig, **settings: Any) -> GenerationConfig:
    """One greedy sequence under the end tokens and penalties of `config`; `settings` decide over both."""
    ends = end_tokens(config)
    kept = {name: getattr(config, name, None) for name in _TOKENS} | {"eos_token_id": ends or None}
    made = GenerationConfig(do_sample=False, num_beams=1, num_return_sequences=1, **kept | penalties(config))
    made.update(**settings)
    return made


def make_savable(config: GenerationConfig) -> list[str]:
    """Takes out of `config` what would keep it from being saved; returns the names, sorted.

    Some models come with a temperature and without sampling, which their library loads and refuses to save.
    """
    try:
        config.validate(strict=True)
    except ValueError:
        names = passed_over(config)
        for name in names:
            setattr(config, name, None)
        return names
    return []


def _error(name: str, value: Any, wanted: str) -> ValueError:
    return ValueError(f"{GENERATION_CONFIG_NAME}: {name}={value!r} must be {wanted}")
