"""How rows and questions are cut into batches, and what a batch takes of memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cctuning.analysis.transplant import PromptPair, attention, chunks, sweep
from cctuning.analysis.transplant.chunks import batches, need, questions_that_fit, rows_that_fit
from cctuning.analysis.transplant.prefill_prompts import prefill_targets
from cctuning.analysis.transplant.shared_prefix import SharedRows
from tests.models import ARCHITECTURES, VOCABULARY, build, random_ids


def test_parts_of_like_size():
    assert chunks.chunks(range(10), 4) == [range(0, 3), range(3, 6), range(6, 10)]
    assert chunks.chunks(range(4), 4) == [range(0, 4)]


@pytest.mark.parametrize("most", [1, 3, 7, 1000])
def test_batches_of_like_length_in_order(most):
    lengths = [int(length) for length in random_ids(600, seed=most)]
    done = []
    for group in batches(lengths, most):
        places = [place for batch in group for place in batch]
        assert all(0 < len(batch) <= most for batch in group)
        assert sorted(places) == list(range(len(done), len(done) + len(places)))  # the next ones
        assert [lengths[place] for place in places] == sorted((lengths[p] for p in places), reverse=True)
        done += places
    assert sorted(done) == list(range(600))


def test_single_questions_keep_their_order():
    assert list(batches([3, 9, 5], 1)) == [[[1], [2], [0]]]


@pytest.mark.parametrize(("free", "rows"), [(10**12, 512), (1_000_000, 80), (10_000, 1), (0, 1)])
def test_rows_follow_from_free_memory(monkeypatch, free, rows):
    monkeypatch.setattr(chunks, "free_memory", lambda device: free)
    assert rows_that_fit(build("llama"), 10_000) == rows


def test_questions_follow_from_their_prefixes(monkeypatch):
    monkeypatch.setattr(chunks, "free_memory", lambda device: 1_000_000)
    model = build("llama")
    assert questions_that_fit(model, chunks.MemoryNeed(row=10_000, question=0), cells=4) == 20
    assert questions_that_fit(model, chunks.MemoryNeed(row=10_000, question=160_000), cells=4) == 4
    assert questions_that_fit(model, chunks.MemoryNeed(row=10_000, question=0), cells=500) == 1
    monkeypatch.undo()
    assert questions_that_fit(model, chunks.MemoryNeed(row=1, question=1), cells=2) == 64


COPIED = ("gptj", "bloom", "falcon", "falcon_serial")


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in COPIED])
def test_the_estimate_holds_what_rows_keep(name):
    # GPT-NeoX has no grouped heads, and would keep a number of them in its configuration all the same.
    model = build(name, **({"num_key_value_heads": 4} if "neox" in name else {}))
    prompt = random_ids(30, seed=0)
    with torch.no_grad():
        _, prefix = prefill_targets(model, [prompt], "ffn")
        rows = SharedRows(model, prefix, slots=5, capacity=20)
        rows.read(prompt[-1:].expand(5, 1))
    needed = need(model, prompt=30, suffix=20, nodes=0)
    kept = sum(tensor.nbytes for layer in rows._layers for tensor in (layer.keys, layer.values))
    assert kept + 5 * VOCABULARY * 8 <= 5 * needed.row <= 20 * (kept + 5 * VOCABULARY * 8)
    assert sum(t.nbytes for states in prefix.states.values() for t in states) <= needed.question


class Largest(TorchDispatchMode):
    """The elements of the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **(kwargs or {}))
        if isinstance(output, torch.Tensor):
            self.elements = max(self.elements, output.numel())
        return output


def test_nothing_grows_with_rows_times_prompt(monkeypatch):
    monkeypatch.setitem(attention._SCORES, "cpu", 4096)
    model = build("llama")
    largest = []
    for length in (40, 200):
        question = PromptPair(random_ids(10, seed=0), random_ids(length, seed=1))
        with Largest() as seen:
            next(sweep(model, [question], [((0, 1),)] * 100, max_new_tokens=3))
        largest.append(seen.elements)
    # 200 tokens of a feed-forward layer while the prompt is read; a hundred rows of logits.
    assert max(largest) <= 100 * 200 / 2
