"""A model with only the tokens that some texts need.

The embeddings are most of a small multilingual model, and the LM head most of its work. Without the tokens
that no text needs, the texts are read as the same pieces, hidden states are the same to the bit, and so is,
but for rounding, the logit of every token that is left; the softmax runs over fewer of them.
"""

import copy
import itertools
import json
import re
import string
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn

from cctuning.pretrained.kinds import ModelError

TRIMMED = "trimmed_vocabulary"  # in a tokenizer's configuration: how many tokens there were, and `unused`

_RESERVED = re.compile(r"\W*(reserved|unused)\w*\W*", re.IGNORECASE)  # added tokens, for later use
_IDS = re.compile(r".*_token_ids?|(begin_)?suppress_tokens")  # settings that hold ids
_OTHER_IDS = ("bad_words_ids", "force_words_ids", "forced_decoder_ids", "sequence_bias")
_BYTES = {*ByteLevel.alphabet(), *(f"<0x{byte:02X}>" for byte in range(256))}


class Trimmed(NamedTuple):
    """A tokenizer of fewer tokens, to be saved and loaded."""

    tokenizer: Any
    kept: list[int]  # by new id, the id in the full vocabulary


def trim_tokenizer(tokenizer: Any, texts: Sequence[str], *, ids: Collection[int], size: int) -> Trimmed:
    """A tokenizer that reads all of `texts` as the same tokens as `tokenizer`, and knows hardly any others.

    It keeps also special and other added tokens, but for reserved ones, those with the given `ids`, all
    bytes, printable ASCII, and what merges make on the way to a token. `size`: rows of the model's
    embeddings. `check_same` tells whether the copy does what it should. Raises `ModelError` for a tokenizer
    of another kind than BPE of `tokenizers`.
    """
    backend, state = _state_of(tokenizer)
    model = state["model"]
    added = {token["content"]: token["id"] for token in state["added_tokens"]}
    known = {**added, **model["vocab"]}
    seen = _tokens(backend, texts)
    wanted = seen | _tokens(backend, string.printable) | _BYTES | {str(backend.id_to_token(id)) for id in ids}
    wanted |= {*tokenizer.all_special_tokens, *(token for token in added if not _RESERVED.fullmatch(token))}
    wanted |= _steps(seen - added.keys(), model["merges"])
    kept = [token for token in wanted & known.keys() if known[token] < size]
    # Tokens that are added to the vocabulary are numbered behind it, whatever the file says.
    kept.sort(key=lambda token: (token not in model["vocab"], known[token]))
    _renumber(state, {token: number for number, token in enumerate(kept)})
    unused = [number for number, token in enumerate(kept) if token not in seen | added.keys()]
    trimmed = copy.copy(tokenizer)
    trimmed._tokenizer = Tokenizer.from_str(json.dumps(state))
    trimmed.init_kwargs = {**tokenizer.init_kwargs, TRIMMED: {"of": len(known), "unused": unused}}
    trimmed.init_kwargs.pop("added_tokens_decoder", None)
    return Trimmed(trimmed, [known[token] for token in kept])


def check_same(full: Any, trimmed: Any, kept: Sequence[int], texts: Sequence[str]) -> None:
    """Raises `ModelError` where `trimmed` reads one of `texts` as other tokens than `full`."""
    read = [tokenizer(list(texts))["input_ids"] for tokenizer in (full, trimmed)] if texts else [[], []]
    for text, whole, part in zip(texts, *read, strict=True):
        if whole != [kept[number] if number < len(kept) else -1 for number in part]:
            raise ModelError(
                f"its tokenizer reads {text[:80]!r} as other tokens once its vocabulary is cut: it does more "
                "than its merges say, and cannot be cut"
            )


def unused_tokens(tokenizer: Any) -> frozenset[int]:
    """The ids of a trimmed tokenizer that occur in none of the texts that it was trimmed for.

    Those are bytes, letters, and steps of merges. Empty for a tokenizer that was not trimmed.
    """
    return frozenset(tokenizer.init_kwargs.get(TRIMMED, {}).get("unused", ()))


def trim_model(model: Any, kept: Sequence[int]) -> None:
    """Cuts a causal language model's embeddings, LM head and configurations down to the tokens `kept`.

    In place. Raises `ModelError` for a model that holds more by token than embeddings and a head.
    """
    check_trimmable(model)
    rows = torch.tensor(kept, device=model.device)
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is not None and head.weight is embeddings.weight
    embeddings.weight = nn.Parameter(embeddings.weight.detach()[rows])
    embeddings.num_embeddings = len(kept)
    if head is not None:
        head.weight = embeddings.weight if tied else nn.Parameter(head.weight.detach()[rows])
        head.out_features = len(kept)
        if getattr(head, "bias", None) is not None:
            head.bias = nn.Parameter(head.bias.detach()[rows])
    model.config.vocab_size = len(kept)
    new = {number: place for place, number in enumerate(kept)}
    for config in (model.config, model.generation_config):
        for name, value in _id_settings(config).items():
            setattr(config, name, [new[id] for id in value] if isinstance(value, list) else new[value])


def check_trimmable(model: Any) -> None:
    """Raises `ModelError` for a model whose vocabulary `trim_model` could not cut."""
    if model.config.get_text_config() is not model.config:
        raise ModelError(f"{type(model).__name__} is no model of text alone: its vocabulary is not cut")
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    size = embeddings.weight.shape[0]
    ours = {id(tensor) for part in (embeddings, head) if part is not None for tensor in part.parameters()}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if size in tensor.shape and id(tensor) not in ours:
            raise ModelError(f"{name} has a part for each token, too: its vocabulary is not cut")


def ids_of(model: Any) -> set[int]:
    """The token ids that a model's configurations name. Raises `ModelError` for settings of lists of ids."""
    ids: set[int] = set()
    for config in (model.config, model.generation_config):
        for name in _OTHER_IDS:
            if getattr(config, name, None):
                raise ModelError(f"its configuration sets {name}, whose tokens would be others: take it out")
        for value in _id_settings(config).values():
            ids.update(value if isinstance(value, list) else [value])
    return ids


def _id_settings(config: Any) -> dict[str, Any]:
    """The settings of a configuration that hold a token id, or a list of some."""
    settings = {} if config is None else {key: getattr(config, key, None) for key in config.to_dict()}
    return {
        key: value
        for key, value in settings.items()
        if _IDS.fullmatch(key) and value is not None and value != -1 and value != []
    }


def _state_of(tokenizer: Any) -> tuple[Tokenizer, dict[str, Any]]:
    """The tokenizer of `tokenizers` inside of one of transformers, and what its file holds."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(f"{type(tokenizer).__name__} has no tokenizer.json: its vocabulary is not cut")
    state = json.loads(backend.to_str())
    model = state["model"]
    if model["type"] != "BPE":
        raise ModelError(f"its tokenizer is {model['type']}, and of BPE alone the vocabulary is cut")
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(name):
            raise ModelError(f"its tokenizer has {name}={model[name]!r}: its vocabulary is not cut")
    return backend, state


def _tokens(backend: Tokenizer, texts: Sequence[str]) -> set[str]:
    read = backend.encode_batch(list(texts), add_special_tokens=True)
    return {token for encoding in read for token in encoding.tokens}


def _steps(tokens: Collection[str], merges: Sequence[Sequence[str]]) -> set[str]:
    """The letters of tokens, and what merges make of them on the way.

    A text's merges within one of its tokens are those of the token alone: the first pair by rank, then by
    place, is merged until none is left, and no merge across the token's ends was ever the first.
    """
    rank = {tuple(pair): number for number, pair in enumerate(merges)}
    steps: set[str] = set()
    for token in tokens:
        parts = list(token)
        steps.update(parts)
        while len(parts) > 1:
            ranks = [rank.get(pair, len(rank)) for pair in itertools.pairwise(parts)]
            at = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[at] == len(rank):
                break  # a token that is taken whole (ignore_merges)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
            steps.add(parts[at])
    return steps


def _renumber(state: dict[str, Any], new: Mapping[str, int]) -> None:
    """Leaves only the tokens of `new` in a tokenizer's file, with these ids."""
    model = state["model"]
    model["vocab"] = {token: number for token, number in new.items() if token in model["vocab"]}
    known = model["vocab"].keys()
    model["merges"] = [pair for pair in model["merges"] if {*pair, "".join(pair)} <= known]
    state["added_tokens"] = [
        {**token, "id": new[token["content"]]} for token in state["added_tokens"] if token["content"] in new
    ]
    state["padding"] = state["truncation"] = None
    _renumber_processor(state["post_processor"] or {"type": "ByteLevel"}, new)


def _renumber_processor(processor: dict[str, Any], new: Mapping[str, int]) -> None:
    """Gives the special tokens that a post-processor adds to texts their new ids."""
    kind = processor["type"]
    if kind == "Sequence":
        for part in processor["processors"]:
            _renumber_processor(part, new)
    elif kind == "TemplateProcessing":
        for special in processor["special_tokens"].values():
            special["ids"] = [new[token] for token in special["tokens"]]
    elif kind != "ByteLevel":
        raise ModelError(f"its tokenizer has the post-processor {kind}: its vocabulary is not cut")
