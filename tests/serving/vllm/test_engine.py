"""Connected models in vLLM: the sequences are those of `generate`. Runs where vLLM is installed."""

import os
from typing import Any

import pytest
import torch

from tests.models import ASSISTANT, BOS, EOS, USER
from tests.serving.vllm.engines import Engine
from tests.serving.vllm.exports import (
    ARCHITECTURES,
    MARGIN,
    NO_WORDS,
    Reference,
    check_equal,
    engine_environment,
    make_export,
    needs_vllm,
    random_prompts,
)

needs_vllm()
pytestmark = pytest.mark.slow

PROMPTS = random_prompts(30)
# The words of a second turn.
FOLLOW_UPS = random_prompts(30, seed=1, longest=20)
ENGLISH = random_prompts(30, seed=2, longest=60)

# Blocks of 32 tokens, so that prompts of 1 to 127 tokens share some.
ENGINES: dict[str, dict[str, Any]] = {
    "batch": {},
    "chunks of 32": {"max_num_batched_tokens": 32, "max_num_seqs": 16},
    "chunks of 16": {"max_num_batched_tokens": 16, "max_num_seqs": 8},
    "preemption": {"num_gpu_blocks_override": 14},
    "two workers": {"tensor_parallel_size": 2, "distributed_executor_backend": "mp"},
    "compiled": {"enforce_eager": False},
    # What does not depend on the architecture.
    "synchronous": {"async_scheduling": False},
    "full second pass": {},
}
_ONCE = ("synchronous", "full second pass")
KINDS = [(a, e) for a in ARCHITECTURES for e in ENGINES if a == "llama" or e not in _ONCE]


@pytest.fixture(scope="module", autouse=True)
def environment():
    """Small, in this process, and of no other's threads."""
    before = dict(os.environ)
    os.environ.update(engine_environment(), VLLM_ENABLE_V1_MULTIPROCESSING="0")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    made: dict[str, Reference] = {}

    def get(name: str) -> Reference:
        if name not in made:
            made[name] = Reference(make_export(name, tmp_path_factory.mktemp(name)))
        return made[name]

    return get


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def running(request, reference):
    """An engine of each kind with each architecture."""
    architecture, kind = request.param
    os.environ["CCTUNING_VLLM_SECOND_PASS"] = "full" if kind == "full second pass" else "narrow"
    settings = dict(ENGINES[kind])
    if architecture == "gemma3" and kind == "preemption":  # which keeps blocks for two kinds of layers
        settings["num_gpu_blocks_override"] *= 2
    engine = Engine.start(reference(architecture).folder, **settings)
    yield engine, reference(architecture), kind
    engine.stop()


def test_sequences_are_those_of_generate(running):
    engine, reference, kind = running
    expected, plain = reference.answers(PROMPTS), reference.answers(PROMPTS, connected=False)
    assert sum(one.tokens != other.tokens for one, other in zip(expected, plain, strict=True)) > 25
    outputs = engine.ask(PROMPTS)
    check_equal([list(output.outputs[0].token_ids) for output in outputs], expected)
    told = [output.kv_transfer_params["cctuning"]["layer"] for output in outputs]
    assert told == [answer.layer for answer in expected]
    # A second time, when the cache holds all of the prompts.
    hits = engine.metric("prefix_cache_hits")
    check_equal(engine.sequences(PROMPTS), expected)
    if kind == "preemption":
        assert engine.metric("num_preemptions") > 0
    else:
        assert engine.metric("prefix_cache_hits") > hits
    # The next turn holds the connected tokens of the turn before as ordinary ones.
    turns = [p + a.tokens + q for p, a, q in zip(PROMPTS, expected, FOLLOW_UPS, strict=True)]
    check_equal(engine.sequences(turns), reference.answers(turns))


def test_a_request_may_switch_the_connection_off(running):
    engine, reference, _ = running
    off = {"connected": False}
    check_equal(engine.sequences(PROMPTS, off), reference.answers(PROMPTS, connected=False))
    # Beside requests that are connected, and with what the others left in the cache.
    for odd in (0, 1):
        options = [off if number % 2 == odd else None for number in range(len(PROMPTS))]
        expected = [reference.answer(p, connected=o is None) for p, o in zip(PROMPTS, options, strict=True)]
        check_equal(engine.sequences(PROMPTS, options), expected)


def test_bilingual(running):
    engine, reference, _ = running
    expected = reference.answers(PROMPTS, english=ENGLISH)
    own = reference.answers(PROMPTS)
    assert sum(one.tokens != other.tokens for one, other in zip(expected, own, strict=True)) > 20
    outputs = engine.ask(PROMPTS, [{"english": english} for english in ENGLISH])
    check_equal([list(output.outputs[0].token_ids) for output in outputs], expected)
    told = [output.kv_transfer_params["cctuning"] for output in outputs]
    assert {one["inference"] for one in told} == {"bilingual"}
    assert [one["layer"] for one in told] == [answer.layer for answer in expected]
    # Beside others, and with what they left in the cache.
    mixed = [{"english": e} if n % 2 else None for n, e in enumerate(ENGLISH)]
    check_equal(engine.sequences(PROMPTS, mixed), [(expected if n % 2 else own)[n] for n in range(len(own))])


def test_translated(running):
    engine, reference, _ = running
    if reference.model.config.model_type == "qwen2":
        pytest.skip(NO_WORDS)
    prompts = [[BOS, USER, *words, EOS, ASSISTANT] for words in random_prompts(15, seed=3, longest=40)]
    expected = reference.answers(prompts, language="sw")
    outputs = engine.ask(prompts, {"prompt_language": "sw"})
    check_equal([list(output.outputs[0].token_ids) for output in outputs], expected)
    english = [reference.model.english_texts(torch.tensor([p]), language="sw") for p in prompts]
    told = [output.kv_transfer_params["cctuning"] for output in outputs]
    assert {one["inference"] for one in told} == {"translated"}
    assert [one["english"] for one in told] == [text if done else None for (text,), (done,) in english]
    assert [one["connected"] for one in told] == [done for _, (done,) in english]
    assert sum(one["connected"] for one in told) > 5
    # Several sequences of one translated prompt, and beside others.
    (output,) = engine.ask(prompts[:1], {"prompt_language": "sw"}, n=2, temperature=1, top_k=1)
    check_equal([list(one.token_ids) for one in output.outputs], [expected[0]] * 2)


def test_several_sequences_and_log_likelihoods(running):
    engine, reference, _ = running
    expected = reference.answers(PROMPTS[:5])
    outputs = engine.ask(PROMPTS[:5], n=3, temperature=1, top_k=1)  # greedy, and three of them
    for number, output in enumerate(outputs):
        check_equal([list(one.token_ids) for one in output.outputs], [expected[number]] * 3)
    # What follows the prompt's end is scored as the response that it is.
    whole = [p + a.tokens for p, a in zip(PROMPTS[:5], expected, strict=True)]
    options = [{"prompt_tokens": len(prompt)} for prompt in PROMPTS[:5]]
    for output, prompt, answer in zip(
        engine.ask(whole, options, max_tokens=1, prompt_logprobs=1), PROMPTS, expected, strict=False
    ):
        ranks = [
            row[token].rank
            for row, token in zip(output.prompt_logprobs[len(prompt) :], answer.tokens, strict=True)
        ]
        assert ranks.count(1) == len(ranks) or answer.margin < MARGIN
