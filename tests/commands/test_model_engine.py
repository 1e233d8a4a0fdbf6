"""Which engine asks a model, and what it is told when it cannot."""

from types import SimpleNamespace

import pytest

from cctuning.commands.model_engine import check_engine
from cctuning.commands.schemas import EvaluateRecipe
from cctuning.distributed.sharing import ALONE, Shard
from cctuning.serving.vllm import asking


def evaluate_recipe(**settings):
    return EvaluateRecipe(**({"model": "plain", "benchmarks": ["xnli"]} | settings))


@pytest.fixture(autouse=True)
def exported(monkeypatch):
    monkeypatch.setattr(asking, "kind_of", lambda model: SimpleNamespace(exported=str(model) == "exported"))


@pytest.mark.parametrize(
    ("settings", "mode", "shard"),
    [
        ({}, "bilingual", Shard(1, 2)),
        ({"attn_implementation": "eager"}, "none", ALONE),
        ({"engine": "vllm"}, "none", ALONE),
        ({"engine": "vllm", "model": "exported"}, "bilingual", ALONE),
        ({"engine": "vllm", "engine_arguments": {"block_size": 32}}, "none", ALONE),
    ],
)
def test_what_goes(settings, mode, shard):
    check_engine(evaluate_recipe(**settings), mode, shard)


@pytest.mark.parametrize(
    ("settings", "mode", "shard", "named"),
    [
        ({"engine_arguments": {"block_size": 32}}, "none", ALONE, "engine_arguments"),
        ({"engine": "vllm", "attn_implementation": "eager"}, "none", ALONE, "attn_implementation"),
        ({"engine": "vllm"}, "none", Shard(0, 2), "tensor_parallel_size"),
        ({"engine": "vllm"}, "bilingual", ALONE, "inference=bilingual"),
    ],
)
def test_what_does_not_go_is_named(settings, mode, shard, named):
    with pytest.raises(ValueError, match=named):
        check_engine(evaluate_recipe(**settings), mode, shard)
