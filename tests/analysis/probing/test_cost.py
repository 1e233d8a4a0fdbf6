"""The cost that is announced is the one that the engine counts, at most."""

from pathlib import Path

import torch

from cctuning.analysis.probing.cost import cost_table, naive_token_forwards, option_forwards, token_forwards
from cctuning.analysis.probing.load_tasks import read_probe_tasks
from cctuning.analysis.probing.sweeping import grid_cells
from cctuning.analysis.transplant import PromptPair, sweep
from cctuning.evaluation.benchmarks import find_benchmark
from tests.analysis import naive
from tests.questions import PROMPTS, plain_model
from tests.screen import printed

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "benchmarks"
NEW = 3


def probes():
    return read_probe_tasks(
        [find_benchmark("xcopa")],
        str(EXAMPLES),
        PROMPTS,
        direction="auto",
        centre="en",
        languages=["sw"],
        limit=2,
        leave_out=True,
        positions=512,
        new_tokens=NEW,
    )


def pairs_of(probe):
    return [
        (torch.tensor(question.parallel.ids), torch.tensor(question.prompt.ids))
        for question in probe.task.questions
    ]


def test_the_engine_counts_no_more_than_was_announced():
    (probe,) = probes()
    model = plain_model()
    model.generation_config.eos_token_id = None
    layers = model.config.num_hidden_layers
    # One at a time, as studies of whole grids ask: of questions that share a batch the shorter are padded.
    counted = 0
    for source, target in pairs_of(probe):
        (found,) = sweep(model, [PromptPair(source, target)], grid_cells(layers), max_new_tokens=NEW)
        counted += found.token_forwards
    announced = token_forwards(probe, layers, NEW)
    assert counted <= announced
    assert counted >= announced - layers**2 * NEW * len(probe.ids)  # rows that went on alike were read once


def test_options_alone_take_no_more_than_was_announced():
    (probe,) = probes()
    model = plain_model()
    layers = model.config.num_hidden_layers
    counted = 0
    for question, (source, target) in zip(probe.task.questions, pairs_of(probe), strict=True):
        pair = PromptPair(source, target, question.option_ids)
        (found,) = sweep(model, [pair], grid_cells(layers), max_new_tokens=0)
        counted += found.token_forwards
    announced = token_forwards(probe, layers, 0) + option_forwards(probe, layers)
    prompts = sum(question.tokens for question in probe.task.questions)
    assert prompts + (announced - prompts) / 2 < counted <= announced  # rows below their swap are read once


def test_one_pair_at_a_time_reads_what_the_reference_reads(monkeypatch):
    (probe,) = probes()
    model = plain_model()
    model.generation_config.eos_token_id = None
    layers = model.config.num_hidden_layers
    read = []
    model.get_decoder().register_forward_pre_hook(
        lambda module, given, named: read.append(named["input_ids"].numel()), with_kwargs=True
    )
    for source, target in pairs_of(probe):
        for pair in range(layers**2):
            naive.transplant(model, source, target, [divmod(pair, layers)], "ffn", NEW)
    # The reference reads the source again for every pair; a fair rival reads it once for each source layer.
    again = sum(len(source) for source, _ in pairs_of(probe)) * (layers**2 - layers)
    assert sum(read) - again == naive_token_forwards(probe, layers, NEW)


def test_the_table_adds_up_and_fits_a_terminal():
    (probe,) = probes()
    text = printed(cost_table([probe, probe], 32, 20, sublayers=2), width=80)
    scored = option_forwards(probe, 32)
    one, by_pair = token_forwards(probe, 32, 20) + scored, naive_token_forwards(probe, 32, 20) + scored
    *_, last = (line for line in text.splitlines() if "all" in line.split(" "))
    assert [cell for cell in last.replace("│", " ").split() if cell != "x"] == [
        "all",
        "4",
        f"{4 * one:,}",
        f"{by_pair / one:.1f}",
    ]
    assert f"{2 * one:,}" in text and "…" not in text
