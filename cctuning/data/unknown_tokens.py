"""A check: does a tokenizer know the words of prompts? Of those that it does not, a model reads nothing.

A trimmed one reads them in pieces that none of the texts has that it was trimmed for.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from cctuning.data.encoding import Example
from cctuning.pretrained.vocabulary import unused_tokens

_MANY = 0.05  # share of a group's prompt tokens; a rare sign now and then is no fault
_LISTED = 5  # groups
_BEFORE, _BEHIND = 3, 12  # tokens of the example beside its first unknown one


def unknown_tokens_warning(
    tokenizer: PreTrainedTokenizerBase, prompts: Mapping[str, Iterable[Sequence[int]]]
) -> str | None:
    """A warning where many tokens of prompts are the unknown token; None where there are few or none.

    `prompts`: a name (a language or a task) -> the token ids of its prompts. The warning has the share of
    each name where it is at least 5 %, and an example as the model reads it. Tokenizers that fall back to
    bytes have no unknown token, or one that begins or ends texts: they get no warning, unless their
    vocabulary was trimmed. Then tokens count that occur in none of the texts for which it was, however few.
    """
    trimmed = unused_tokens(tokenizer)
    unknown = np.array(sorted(trimmed) or _unknown_token(tokenizer))
    if not len(unknown):
        return None
    shares: dict[str, float] = {}
    worst: tuple[float, Sequence[int]] = (0.0, ())
    for name, group in prompts.items():
        unknown_count = total = 0
        for ids in group:
            count = int(np.count_nonzero(np.isin(ids, unknown)))
            unknown_count, total = unknown_count + count, total + len(ids)
            share = count / max(len(ids), 1)
            if share > worst[0]:
                worst = (share, ids)
        if unknown_count and (trimmed or unknown_count >= _MANY * total):
            shares[name] = unknown_count / total
    if not shares:
        return None
    largest = sorted(shares.items(), key=lambda entry: -entry[1])
    listed = ", ".join(f"{name} {share:.0%}" for name, share in largest[:_LISTED])
    more = f" and {len(largest) - _LISTED} more" if len(largest) > _LISTED else ""
    place = int(np.isin(worst[1], unknown).argmax())
    shown = str(tokenizer.decode(list(worst[1])[max(place - _BEFORE, 0) : place + _BEHIND]))
    said = (
        "words of these prompts are none of the texts that the model's vocabulary was cut for, and it reads "
        "others in their place: cut it again, with cctuning prepare model --vocabulary, for these too"
        if trimmed
        else "many words are unknown to the tokenizer, and the model reads "
        f"{tokenizer.unk_token} in their place"
    )
    shares_said = f"Share of all prompt tokens: {listed}{more}"
    return f"{said}. {shares_said}. For example it reads {' '.join(shown.split())!r}"


def _unknown_token(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The id of the unknown token, where it stands for nothing else."""
    unknown = tokenizer.unk_token_id
    used = (None, tokenizer.bos_token_id, tokenizer.eos_token_id)
    return [] if unknown in used else [int(unknown)]


def prompts_by_language(examples: Iterable[Example]) -> dict[str, list[list[int]]]:
    """The prompts of training examples in their own language, and their English ones, as `en`."""
    groups: dict[str, list[list[int]]] = {}
    for example in examples:
        groups.setdefault(example.row.language, []).append(example.input_ids[: example.prompt_length])
        if example.english_input_ids:
            groups.setdefault("en", []).append(example.english_input_ids)
    return groups
