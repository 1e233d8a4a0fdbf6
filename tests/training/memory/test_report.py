"""What is shown of an estimate, and which changes are named where a run does not fit."""

import dataclasses
import functools

import pytest
import torch

from cctuning.distributed.engines import Engine
from cctuning.training.memory import Device, device_at_hand, estimate_memory, memory_report, memory_warning
from cctuning.training.memory.advice import knobs
from cctuning.training.memory.devices import CARDS, card, smallest_card
from cctuning.training.memory.estimate import MemoryEstimate, total_memory
from cctuning.training.memory.report import memory_table
from tests.screen import printed
from tests.training.memory.shapes import SHAPES, lora, step_of

pytestmark = pytest.mark.slow

ONE = Engine("one")
SHAPE = dataclasses.replace(SHAPES["wide"], config=SHAPES["wide"].config | {"num_hidden_layers": 2})
STEP = step_of(SHAPE, tokens=64, response_tokens=32, checkpointing=False, bf16=False, gpu=True)


def shown(renderable):
    text = printed(renderable, width=80)
    assert all(len(line) <= 80 for line in text.splitlines())
    return text


@functools.cache
def needed():
    return estimate_memory(STEP).total


def room(share, gpu=False):
    return Device("a small device", int(share * needed()) + (2**30 if gpu else 0), gpu=gpu)


def test_memory_is_shown_in_a_unit_that_says_something():
    big = MemoryEstimate(weights=2**34, gradients=0, optimizer=0, activations=2**29, connection=3 * 2**20)
    text = shown(memory_table(big, Engine("zero3", 8, offload=True)))
    assert "16.00 GiB" in text and "16.50 GiB" in text and "0.50 GiB" in text and "3.0 MiB" in text
    assert "DeepSpeed ZeRO-3 with offload on 8 processes" in text
    assert "engine" not in text  # one without buffers has no line for them


def test_a_run_that_fits_gets_no_advice():
    text = shown(memory_report(STEP, ONE, room(1.01), lora=lora()))
    assert "It should fit: a small device has" in text and "what helps" not in text
    assert memory_warning(STEP, ONE, room(1.01), lora=lora()) is None


def test_a_run_that_does_not_fit_is_told_what_helps():
    for text in (
        shown(memory_report(STEP, ONE, room(0.5), lora=lora())),
        shown(memory_warning(STEP, ONE, room(0.5), lora=lora())),
    ):
        assert "lora.enabled=true" in text and "what helps, on a small device" in text


def test_without_a_gpu_the_smallest_card_is_named():
    assert "smallest common one that holds it: a card of 24 GB" in shown(
        memory_report(STEP, ONE, None, lora=lora())
    )


def test_an_optimizer_that_is_not_known_is_said_to_be_taken_for_adam():
    step = dataclasses.replace(STEP, optim="lomo")
    assert "optim=lomo is taken for Adam" in shown(memory_report(step, ONE, None, lora=lora()))


def test_what_fits_comes_first_and_totals_are_those_of_the_changed_run():
    found = knobs(STEP, ONE, room(0.6), lora=lora())
    fits = [room(0.6).holds(knob.estimate) for knob in found]
    assert fits == sorted(fits, reverse=True) and any(fits)
    by_change = {knob.change: knob.estimate for knob in found}
    assert by_change["lora.enabled=true"] == total_memory(dataclasses.replace(STEP, lora=lora()))
    assert all(estimate.total < 0.95 * needed() for estimate in by_change.values())


def test_settings_are_put_together_where_none_is_enough():
    together = [
        knob
        for knob in knobs(STEP, ONE, room(0.25), lora=lora())
        if "=" in knob.change and " " in knob.change
    ]
    assert [room(0.25).holds(knob.estimate) for knob in together] == [True]


def test_engines_are_named_with_the_fewest_processes_that_fit():
    device = room(0.5, gpu=True)
    step = dataclasses.replace(STEP, bf16=True)
    found = [knob for knob in knobs(step, ONE, device, lora=lora()) if "fsdp2.yaml" in knob.change]
    (knob,) = found
    count = int(knob.change.split()[-2])
    assert device.holds(total_memory(step, Engine("fsdp2", count)))
    assert count == 2 or not device.holds(total_memory(step, Engine("fsdp2", count // 2)))


def test_the_engine_of_a_run_is_offered_with_more_processes():
    eight = total_memory(STEP, Engine("fsdp2", 8)).total
    device = Device("GPU", int(1.05 * eight) + 2**30, gpu=True)
    two = Engine("fsdp2", 2)
    if device.holds(total_memory(STEP, two)):
        device = dataclasses.replace(device, memory=total_memory(STEP, two).total)
    found = [knob.change for knob in knobs(STEP, two, device, lora=lora()) if "fsdp2.yaml" in knob.change]
    assert found and int(found[0].split()[-2]) > 2


def test_cards_are_in_order_and_the_smallest_that_holds_is_taken():
    assert list(CARDS.values()) == sorted(CARDS.values())
    estimate = dataclasses.replace(estimate_memory(STEP), weights=30 * 2**30)
    assert smallest_card(estimate) == card("40 GB")
    assert smallest_card(dataclasses.replace(estimate, weights=2**40)) is None


def test_the_context_of_a_gpu_needs_room():
    estimate = MemoryEstimate(2**30, 0, 0, 0, 0)
    assert Device("cpu", 2**30, gpu=False).holds(estimate)
    assert not Device("gpu", 2**30, gpu=True).holds(estimate)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a machine without a GPU")
def test_processes_share_main_memory_and_a_gpu_that_is_missing_is_none():
    one, two = (device_at_hand(use_cpu=True, processes=count).memory for count in (1, 2))
    assert two == one // 2
    assert device_at_hand(use_cpu=False, processes=1) is None
