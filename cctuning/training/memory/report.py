"""The estimate as `dry_run=true` shows it, and as a warning at the start of a run that will not fit."""

from collections.abc import Sequence

from peft import PeftConfig
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cctuning.distributed.engines import Engine
from cctuning.reporting.tables import RecordTable
from cctuning.training.memory.advice import Knob, knobs
from cctuning.training.memory.devices import Device, card, smallest_card
from cctuning.training.memory.estimate import MemoryEstimate, estimate_memory, total_memory
from cctuning.training.memory.optimizers import is_known
from cctuning.training.memory.step import Step

_PARTS = {
    "weights": "what the device holds of the model",
    "gradients": "of the weights that are trained",
    "optimizer": "its states",
    "activations": "of the longest rows, or the optimizer's work",
    "connection": "what it adds to the peak",
    "engine": "gathered weights, gradients on their way",
}
# Where no GPU is at hand and no common card holds the run, the advice is for this one.
_CARD = "80 GB"


def memory_report(step: Step, engine: Engine, device: Device | None, *, lora: PeftConfig) -> Group:
    """The parts, whether they fit into `device` (None: a GPU is wanted and there is none), and what helps."""
    estimate = estimate_memory(step, engine)
    lines: list[RenderableType] = [memory_table(estimate, engine)]
    if estimate.main_memory:
        lines.append(Text(f"In main memory, of all processes: {size(estimate.main_memory)}."))
    if not is_known(step.optim):
        lines.append(Text(f"optim={step.optim} is taken for Adam: what it keeps is not known."))
    context = "the CUDA context (0.5 to 1 GiB), and a few per cent lost between blocks"
    lines.append(Text(f"Not in it: {context if step.gpu else 'Python and its libraries (0.5 to 1 GiB)'}."))
    target = device or smallest_card(estimate) or card(_CARD)
    fits = target.holds(estimate)
    if target.here:
        verdict = "It should fit" if fits else "It does not fit"
        lines.append(Text(f"{verdict}: {target.name} has {size(target.memory)} for a process."))
    elif fits:
        lines.append(Text(f"There is no GPU here. The smallest common one that holds it: {target.name}."))
    else:
        lines.append(Text("There is no GPU here, and no common card holds it on so many devices."))
    if not fits:
        lines.append(_knobs_table(knobs(step, engine, target, lora=lora), target))
    return Group(*lines)


def memory_warning(step: Step, engine: Engine, device: Device, *, lora: PeftConfig) -> Group | None:
    """The report before a run on `device` whose estimate it does not hold; None where it fits."""
    estimate = total_memory(step, engine)
    if device.holds(estimate):
        return None
    warning = (
        f"warning: this run is estimated at {size(estimate.total)} a device, and {device.name} has "
        f"{size(device.memory)}: it will probably run out of memory. dry_run=true shows the parts."
    )
    return Group(Text(warning), _knobs_table(knobs(step, engine, device, lora=lora), device))


def memory_table(estimate: MemoryEstimate, engine: Engine) -> Table:
    """The parts of an estimate, one a line."""
    parts = {name: meaning for name, meaning in _PARTS.items() if name != "engine" or estimate.engine}
    rows = [[name, size(getattr(estimate, name)), meaning] for name, meaning in parts.items()]
    table = RecordTable(["part", "", ""], [*rows, [], ["total", size(estimate.total), ""]])
    return table.screen(text=(0, 2), title=f"memory estimate per device: {engine}", title_justify="left")


def _knobs_table(changes: Sequence[Knob], device: Device) -> RenderableType:
    if not changes:
        return Text("No single setting helps: take a smaller model or more devices.")
    rows = [
        [knob.change, size(knob.estimate.total), "yes" if device.holds(knob.estimate) else "no"]
        for knob in changes
    ]
    table = RecordTable(["change", "total", "fits"], rows)
    notes = []
    if any(".yaml" in knob.change for knob in changes):
        notes.append("A .yaml file goes to accelerate launch --config_file.")
    if any(knob.estimate.main_memory for knob in changes):
        most = max(knob.estimate.main_memory for knob in changes)
        notes.append(f"Offloading takes {size(most)} of main memory.")
    shown = table.screen(title=f"what helps, on {device.name}", title_justify="left")
    return Group(shown, *(Text(note) for note in notes))


def size(count: int) -> str:
    """Bytes in a unit that says something."""
    return f"{count / 2**30:.2f} GiB" if count >= 2**27 else f"{count / 2**20:.1f} MiB"
