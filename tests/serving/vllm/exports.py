"""Exported models with random weights that vLLM takes, and what `generate` makes of prompts with them."""

import importlib.util
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.export import export_monolingual
from tests.models import EOS, FIRST_WORD, VOCABULARY, build, word_tokenizer

# vLLM's attention on CPUs takes heads of 32 and more.
_SHAPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 4,
    "max_position_embeddings": 512,
}
_HEADS = {"head_dim": 32}
_CHANGES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": _HEADS,
    "mistral": _HEADS,
    "gemma3": _HEADS | {"sliding_window": 32, "query_pre_attn_scalar": 32},
}
ARCHITECTURES = tuple(_CHANGES)
NEW_TOKENS = 16
# Words that end a translation, so that most of them do.
_ENDS = [EOS, *range(10, 30)]
NO_WORDS = "AutoTokenizer takes Qwen2's own class whatever the folder says, and it drops made-up words"
# Two correct engines may take another token below this gap between two logits.
MARGIN = 1e-3


def make_export(name: str, folder: Path, **settings: Any) -> Path:
    """An exported model in float32: random Decision Maker and Transform Matrix.

    For Qwen3 with a bias, for Gemma 3 of each layer, for Mistral of each layer in two factors, with a bias.
    """
    base = build(name, dtype=torch.float32, **(_SHAPE | _CHANGES[name]))
    base.generation_config.eos_token_id = _ENDS
    model = CCTuningModel.wrap(base, ConnectionConfig(**settings))
    generator = torch.Generator().manual_seed(1)
    size, layers = _SHAPE["hidden_size"], _SHAPE["num_hidden_layers"]
    if model.decision_maker is not None:
        model.decision_maker.weight.data = torch.randn(layers, size, generator=generator)
    shape = {"qwen3": (size + 1, size), "gemma3": (layers, size, size)}.get(name, (size, size))
    transform: Any = 2 * torch.randn(shape, generator=generator) / size**0.5
    if name == "mistral":
        up = torch.randn(layers, 9, size, generator=generator) / 2  # eight rows, and one that is added
        transform = (torch.randn(layers, size, 8, generator=generator) / size**0.5, up)
    words = {"sw": "w5 w6 {text}"}
    return export_monolingual(model, word_tokenizer(), transform, folder, into_english=words)


def random_prompts(count: int, *, seed: int = 0, longest: int = 127) -> list[list[int]]:
    """Prompts of 1 to `longest` words."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [
        torch.randint(FIRST_WORD, VOCABULARY, (length,), generator=generator).tolist() for length in lengths
    ]


class Answer(NamedTuple):
    """A greedy sequence, the smallest gap between its tokens and the ones that came second, and the layer."""

    tokens: list[int]
    margin: float
    layer: int | None


class Reference:
    """An exported model in transformers; what it has answered is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = AutoModelForCausalLM.from_pretrained(
            folder, trust_remote_code=True, dtype=torch.float32
        ).eval()
        self._answers: dict[Any, Answer] = {}

    def answer(
        self,
        prompt: list[int],
        *,
        connected: bool = True,
        english: list[int] | None = None,
        language: str | None = None,
    ) -> Answer:
        """What follows `prompt`."""
        key = (tuple(prompt), connected, english and tuple(english), language)
        if key not in self._answers:
            self.model.connected = connected
            device = self.model.device
            given = {"english_input_ids": torch.tensor([english], device=device)} if english else {}
            ids = torch.tensor([prompt], device=device)
            out = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                eos_token_id=None,
                pad_token_id=0,
                return_dict_in_generate=True,
                output_logits=True,
                prompt_language=language,
                **given,
            )
            best, second = torch.stack(out.logits)[:, 0].topk(2).values.unbind(-1)
            tokens = out.sequences[0, len(prompt) :].tolist()
            layer = int(self.model.last_selection.weights.argmax()) if connected else None
            self._answers[key] = Answer(tokens, float((best - second).min()), layer)
        return self._answers[key]

    def answers(self, prompts: list[list[int]], **how: Any) -> list[Answer]:
        """One for each prompt; `english` is a list, too."""
        several = how.pop("english", [None] * len(prompts))
        return [self.answer(p, english=e, **how) for p, e in zip(prompts, several, strict=True)]


def check_equal(sequences: list[list[int]], expected: list[Answer]) -> None:
    """All `sequences` are those expected, but for at most one in ten where two correct engines may differ."""
    unequal = [
        n for n, (one, other) in enumerate(zip(sequences, expected, strict=True)) if one != other.tokens
    ]
    assert [number for number in unequal if expected[number].margin > MARGIN] == []
    assert len(unequal) <= len(expected) // 10


def needs_vllm() -> None:
    """Skips the test module that calls it where vLLM is not installed."""
    import pytest

    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed (make test-vllm)", allow_module_level=True)


def engine_environment() -> dict[str, str]:
    """Variables under which vLLM runs small models beside others on a machine without GPU."""
    return os.environ | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}
