"""Settings that make a run fit that does not, and what it would take with each of them."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from peft import PeftConfig

from cctuning.distributed.engines import Engine
from cctuning.distributed.launch_checks import DIFFERENTIATED_TWICE, READ_TWICE
from cctuning.tools.package_data import accelerate_file
from cctuning.training.memory.devices import Device
from cctuning.training.memory.estimate import MemoryEstimate, total_memory
from cctuning.training.memory.step import Step

_PROCESSES = (2, 4, 8, 16)
_WORTH_SAYING = 0.95  # of the total; what saves less is not shown


class Knob(NamedTuple):
    """A change to a run, as it is typed, and the estimate with it."""

    change: str
    estimate: MemoryEstimate


def knobs(step: Step, engine: Engine, device: Device, *, lora: PeftConfig) -> list[Knob]:
    """Changes that lead to fitting into `device`, or help most, the smallest total first.

    `lora` are the adapters that `lora.enabled=true` would train. Where no single setting is enough, those
    that help are put together, one after the other, until the run fits.
    """
    now = total_memory(step, engine).total
    packs = engine.name in ("one", "ddp")
    options = {change: other for change, other in _settings(step, lora) if packs or not other.four_bits}
    helpful = [Knob(change, total_memory(other, engine)) for change, other in options.items()]
    helpful = [knob for knob in helpful if knob.estimate.total < _WORTH_SAYING * now]
    helpful.sort(key=lambda knob: knob.estimate.total)
    if not any(device.holds(knob.estimate) for knob in helpful):
        helpful += _together(step, engine, device, lora, [knob.change for knob in helpful])
    helpful += [knob for knob in _engines(step, engine, device) if knob.estimate.total < _WORTH_SAYING * now]
    return sorted(helpful, key=lambda knob: (not device.holds(knob.estimate), knob.estimate.total))


def _settings(step: Step, lora: PeftConfig) -> Iterator[tuple[str, Step]]:
    change = dataclasses.replace
    if not step.checkpointing:
        yield "gradient_checkpointing=true", change(step, checkpointing=True)
    if step.rows > 1:
        more = step.accumulation * step.rows
        yield "per_device_train_batch_size=1", change(step, rows=1, accumulation=more)
    if step.gpu and step.optim == "adamw_torch":
        yield "optim=adamw_torch_fused", change(step, optim="adamw_torch_fused")
    if step.lora is None:
        yield "optim=adafactor", change(step, optim="adafactor")
        yield "lora.enabled=true", change(step, lora=lora)
        yield "lora.enabled=true load_in_4bit=true", change(step, lora=lora, four_bits=True)
    elif not step.four_bits:
        yield "load_in_4bit=true", change(step, four_bits=True)
    if step.dtype == "float32":
        yield "dtype=bfloat16", change(step, dtype="bfloat16")
    half = step.tokens // 2
    if half > step.tokens - step.response_tokens:
        response = step.response_tokens - (step.tokens - half)
        yield f"cutoff_len={half}", change(step, tokens=half, response_tokens=response)


def _together(
    step: Step, engine: Engine, device: Device, lora: PeftConfig, changes: Sequence[str]
) -> list[Knob]:
    taken: list[str] = []
    for change in changes:
        options = dict(_settings(step, lora))
        if change in options:  # Adafactor is none where adapters are trained
            step, taken = options[change], [*taken, change]
            estimate = total_memory(step, engine)
            if device.holds(estimate):
                return [Knob(" ".join(taken), estimate)] if len(taken) > 1 else []
    return []


def _engines(step: Step, engine: Engine, device: Device) -> Iterator[Knob]:
    """The engines with the fewest processes that fit, or where none does with the largest number tried."""
    if not step.gpu or step.four_bits:  # they cannot share out packed weights
        return
    refused = {"fsdp2": DIFFERENTIATED_TWICE, "zero3": READ_TWICE}
    for name, offload, file in (
        ("zero2", False, "zero2"),
        ("fsdp2", False, "fsdp2"),
        ("zero3", True, "zero3_offload"),
    ):
        if any(getattr(step.connection, option, False) for option in refused.get(name, ())):
            continue
        counts = [count for count in _PROCESSES if count >= engine.processes] or [engine.processes]
        if (engine.name, engine.offload) == (name, offload):
            counts = [count for count in counts if count > engine.processes]
        if not counts:
            continue
        for count in counts:
            estimate = total_memory(step, Engine(name, count, offload))
            if device.holds(estimate):
                break
        yield Knob(f"{accelerate_file(file)}, {count} processes", estimate)
