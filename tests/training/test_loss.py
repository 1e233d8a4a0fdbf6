"""However its rows are split into batches, accumulated passes and processes, a step is the same step.

But for an alignment, which tells a row from others of its pass: it is compared in the passes that were made.
In float64, beside nats over label tokens from one plain forward and backward pass per row.
"""

import functools
import itertools
import json
import tempfile

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from safetensors.torch import load_file
from torch.utils.data import BatchSampler, SequentialSampler

from cctuning.connection.connected import connection_of
from cctuning.training.row_repeats import first_repeat
from tests.naive import naive_contrast
from tests.processes import start_two
from tests.training.loss_steps import (
    KINDS,
    SILENT,
    TWO_PROCESSES,
    Split,
    Steps,
    evaluated,
    exact,
    examples,
    splits_of,
    train,
    trainer_of,
)

pytestmark = pytest.mark.slow

EVEN = [Split(8, 1), Split(4, 2), Split(1, 8)]
ODD = [
    Split(2, 4, rows=12),  # the last step is smaller
    Split(3, 2, rows=7),  # so is the last batch
    Split(2, 2, rows=7, drop_last=True),
]


@functools.cache
def row_by_row(kind):
    """Of each row alone: its nats, its label tokens, and the gradients of its nats by weight."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, exact():
        model = trainer_of(kind, Split(1, 1), folder).model.train()
        for example in examples(kind):
            inputs = {"input_ids": torch.tensor([example.input_ids])}
            if not kind.startswith("sft"):
                english = torch.tensor([example.english_input_ids])
                inputs |= {"prompt_lengths": torch.tensor([example.prompt_length])}
                inputs |= {"english_input_ids": english, "english_attention_mask": torch.ones_like(english)}
            labels = torch.tensor(example.input_ids[example.prompt_length :], dtype=torch.long)
            logits = model(**inputs).logits[0, example.prompt_length - 1 : -1]
            nll = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
            rows.append((nll.item(), len(labels), gradients_of(nll, model)))
    return rows


def gradients_of(value, model):
    model.zero_grad()
    value.backward()
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    return {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in weights.items()
    }


def aligned(kind, passes):
    """The mean contrast of the rows whose English is another prompt, pass by pass, and its gradients."""
    rows, contrasts = examples(kind), []
    with tempfile.TemporaryDirectory() as folder, exact():
        model = trainer_of(kind, Split(1, 1), folder).model.train()

        def outputs(prompt):
            return connection_of(model).sublayer_outputs(torch.tensor([prompt]))[0]

        for numbers in passes:
            english = {tuple(rows[number].english_input_ids): None for number in numbers}
            candidates = [outputs(prompt).detach() for prompt in english]
            for row in (rows[number] for number in numbers):
                prompt = row.input_ids[: row.prompt_length]
                own = list(english).index(tuple(row.english_input_ids))
                if prompt != row.english_input_ids:
                    contrasts.append(naive_contrast(outputs(prompt), candidates, own, range(2)))
        assert len(contrasts) == 6  # of 8 rows
        mean = torch.stack(contrasts).mean()
        return mean.item(), gradients_of(mean, model)


def check(kind, steps, rows):
    """The steps together had these rows, each once, and each step weighted them by their label tokens."""
    expected = [row_by_row(kind)[number] for number in rows]
    all_tokens = sum(tokens for _, tokens, *_ in expected)
    alignment = None
    if kind.startswith("aligned"):
        assert len(steps.log) == 1
        mean, alignment = aligned(kind, steps.passes)
        assert steps.log[0]["alignment"] == pytest.approx(mean, rel=1e-10, abs=1e-14)
        assert [tokens for _, tokens, *_ in expected].count(0) == len(SILENT)
    of_steps = [
        sum(value for name, value in line.items() if name.startswith("tokens/")) for line in steps.log
    ]
    assert sum(of_steps) == all_tokens
    loss = sum(line["loss"] * tokens for line, tokens in zip(steps.log, of_steps, strict=True)) / all_tokens
    assert loss == pytest.approx(sum(nll for nll, *_ in expected) / all_tokens, rel=1e-10)
    for line, tokens in zip(steps.log, of_steps, strict=True):
        weighted = sum(line[f"loss/{name[7:]}"] * line[name] for name in line if name.startswith("tokens/"))
        assert weighted / tokens == pytest.approx(line["loss"], rel=1e-14)
    assert len(steps.gradients) == len(of_steps)
    for name, ours in steps.gradients[0].items():
        summed = sum(
            gradients[name] * tokens for gradients, tokens in zip(steps.gradients, of_steps, strict=True)
        )
        own = name.removeprefix("module.")
        by_hand = sum(gradients[own] for *_, gradients in expected)
        if alignment is not None:
            by_hand = by_hand + 0.5 * all_tokens * alignment[own]
        scale = by_hand.abs().max() or 1.0
        assert ours.dtype == torch.float64
        torch.testing.assert_close(summed / scale, by_hand / scale, rtol=0, atol=1e-10)


def check_evaluation(kind, evaluation, rows):
    expected = row_by_row(kind)[:rows]
    tokens = sum(value for name, value in evaluation.items() if name.startswith("eval_tokens/"))
    assert tokens == sum(count for _, count, *_ in expected)
    loss = sum(nll for nll, *_ in expected) / tokens
    assert evaluation["eval_loss"] == pytest.approx(loss, rel=1e-10)
    if not kind.startswith("sft"):  # each layer's share of the rows
        shares = [evaluation[f"eval_decision_maker/layer_{layer:02d}"] for layer in range(2)]
        assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_and_accumulation_do_not_change_a_step(kind):
    for split in splits_of(kind, Split(2, 4), EVEN, ODD):
        steps = train(kind, split)
        rows = list(itertools.chain(*steps.passes)) if split.drop_last else range(split.rows)
        assert len(set(rows)) == len(rows) == (6 if split.drop_last else split.rows)
        check(kind, steps, rows)
        if steps.evaluation and not split.drop_last:
            check_evaluation(kind, steps.evaluation, evaluated(split))


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The folder with what two processes did."""
    folder = tmp_path_factory.mktemp("two")
    for started in start_two("tests/training/loss_steps.py", str(folder), folder=folder):
        ended = started.wait()
        assert ended.status == 0, ended.err
    return folder


def read_steps(folder, name):
    values = json.loads((folder / f"{name}.json").read_text())
    gradients = [load_file(folder / f"{name}-{step}.safetensors") for step in range(values["gradients"])]
    return Steps(**values | {"gradients": gradients})


@pytest.mark.parametrize("kind", TWO_PROCESSES)
def test_processes_do_not_change_a_step(kind, two_processes):
    for number, split in enumerate(TWO_PROCESSES[kind]):
        steps = read_steps(two_processes, f"{kind}-{number}")
        if split.drop_last:
            continue
        check(kind, steps, range(split.rows))
        if steps.evaluation:
            check_evaluation(kind, steps.evaluation, evaluated(split))


def test_rows_that_do_not_fill_a_step_of_all_processes_are_dropped_when_asked(two_processes):
    splits = TWO_PROCESSES["sft, full"]
    [number] = [number for number, split in enumerate(splits) if split.drop_last]
    steps = read_steps(two_processes, f"sft, full-{number}")
    assert len(steps.passes) == 2 and len(steps.log) == 1  # both processes took 4 of the 7 rows


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_where_accelerate_repeats_rows(processes):
    """Without the repeats, the last batches of all processes give what is left of the rows, each once."""
    for batch_size in (1, 2, 3):
        for rows in range(1, 30):
            batches = BatchSampler(SequentialSampler(range(rows)), batch_size, drop_last=False)
            seen = []
            for process in range(processes):
                own = list(BatchSamplerShard(batches, processes, process))
                first = first_repeat(rows, batch_size=batch_size, processes=processes, process=process)
                seen += [row for batch in own[:-1] for row in batch] + own[-1][:first]
            assert sorted(seen) == list(range(rows)), (batch_size, rows)
