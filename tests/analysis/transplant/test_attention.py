"""Attention over a shared prefix against the equation, written out for every row and head."""

import pytest
import torch

from cctuning.analysis.transplant import attention
from cctuning.analysis.transplant.attention import States, Visible, attend, capped_causal_attention


def written_out(query, prefix, suffix, visible, scaling, softcap):
    rows, heads, new, _ = query.shape
    questions, key_heads, before = prefix.keys.shape[:3]
    slots, after = rows // questions, suffix.keys.shape[2]
    outputs = torch.empty(rows, new, heads, suffix.values.shape[-1], dtype=query.dtype)
    for row in range(rows):
        for head in range(heads):
            question, own = row // slots, head * key_heads // heads
            for token in range(new):
                scores, values = [], []
                for column in range(visible.start, before):
                    if (
                        visible.prefix is None
                        or visible.prefix[question % len(visible.prefix), token, column - visible.start]
                    ):
                        scores.append(query[row, head, token] @ prefix.keys[question, own, column])
                        values.append(prefix.values[question, own, column])
                for column in range(after):
                    if (
                        visible.suffix is None
                        or visible.suffix[question % len(visible.suffix), token, column]
                    ):
                        scores.append(query[row, head, token] @ suffix.keys[row, own, column])
                        values.append(suffix.values[row, own, column])
                weights = torch.stack(scores) * scaling
                if softcap is not None:
                    weights = softcap * torch.tanh(weights / softcap)
                outputs[row, token, head] = weights.softmax(0) @ torch.stack(values)
    return outputs


def random_mask(*shape):
    mask = torch.rand(shape) < 0.6
    mask[..., -1] = True  # every token sees something
    return mask


@pytest.mark.parametrize("questions", [1, 3])
@pytest.mark.parametrize("new", [1, 4])
@pytest.mark.parametrize("before", [0, 1, 7])
def test_attend(questions, new, before, monkeypatch):
    torch.manual_seed(questions + new)
    slots, heads, key_heads, width, value_width, after = 5, 4, 2, 8, 6, 5
    rows = questions * slots
    query = torch.randn(rows, heads, new, width, dtype=torch.float64)
    prefix = States(*(torch.randn(questions, key_heads, before, d).double() for d in (width, value_width)))
    # Parts of larger buffers, as a cache gives them.
    suffix = States(
        *(torch.randn(rows, key_heads, 9, d).double()[:, :, :after] for d in (width, value_width))
    )
    start = min(2, before)
    for softcap in (None, 2.0):
        for visible in (
            Visible(0, None, None),
            Visible(start, None, None),
            Visible(start, random_mask(1, new, before - start), random_mask(1, new, after))
            if before > start
            else Visible(start, None, random_mask(1, new, after)),
            Visible(0, random_mask(questions, new, before) if before else None, None),
        ):
            wanted = written_out(query, prefix, suffix, visible, 0.3, softcap)
            for scores in (1, 300, 2**22):
                monkeypatch.setitem(attention._SCORES, "cpu", scores)
                found = attend(query, prefix, suffix, visible, scaling=0.3, softcap=softcap)
                torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", [None, 3])
def test_capped_causal_attention(window):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, heads, 6, 8, dtype=torch.float64) for heads in (4, 2, 2))
    mask = torch.ones(6, 6, dtype=torch.bool).tril()[None, None].repeat(2, 1, 1, 1)
    if window:
        mask &= torch.ones(6, 6, dtype=torch.bool).triu(1 - window)
    found = capped_causal_attention(query, key, value, mask if window else None, 0.5, 1.5)
    nothing = States(key[:, :, :0], value[:, :, :0])
    for row in range(2):
        own = States(key[row : row + 1], value[row : row + 1])
        empty = States(*(state[:1] for state in nothing))
        wanted = written_out(query[row : row + 1], empty, own, Visible(0, None, mask[row]), 0.5, 1.5)
        torch.testing.assert_close(found[row : row + 1], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_less_than_its_own_softmax(dtype):
    torch.manual_seed(0)
    exact = torch.randn(4, 2, 1, 16)
    prefix = States(torch.randn(1, 2, 300, 16), torch.randn(1, 2, 300, 16))
    suffix = States(torch.randn(4, 2, 3, 16), torch.randn(4, 2, 3, 16))
    half = [States(*(state.to(dtype) for state in states)) for states in (prefix, suffix)]
    seen = Visible(0, None, None)
    found = attend(exact.to(dtype), *half, seen, scaling=0.25)
    assert found.dtype == dtype
    wanted = attend(exact, prefix, suffix, seen, scaling=0.25)
    torch.testing.assert_close(found.float(), wanted, rtol=0.02, atol=0.01)
