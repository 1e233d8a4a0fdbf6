"""Memory of a training step on each device, before any weight is loaded."""

import dataclasses
from dataclasses import dataclass

from cctuning.distributed.engines import Engine
from cctuning.training.memory.holding import held_by
from cctuning.training.memory.step import Step, build_model
from cctuning.training.memory.tracing import trace_step

ONE = Engine("one")


class UnknownMemoryError(ValueError):
    """A model's step cannot be run without values, so nothing is known of its activations."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on each device at the step's peak; `main_memory` is what offloading moves off all devices."""

    weights: int
    gradients: int
    optimizer: int
    activations: int  # of the pass at its peak, or what the optimizer works with where that is more
    connection: int
    engine: int = 0  # buffers for communication, and gathered weights
    main_memory: int = 0

    @property
    def total(self) -> int:
        """All that is on the device."""
        return (
            self.weights + self.gradients + self.optimizer + self.activations + self.connection + self.engine
        )


def estimate_memory(step: Step, engine: Engine = ONE) -> MemoryEstimate:
    """Estimates a process's step.

    The connection is the difference to the same step without it: English pass, Decision Maker, and the
    gradients that they cause. Raises `UnknownMemoryError` for a model with operators that need values, such
    as some mixtures of experts.
    """
    connected = total_memory(step, engine)
    if step.connection is None:
        return connected
    plain = total_memory(dataclasses.replace(step, connection=None), engine)
    return dataclasses.replace(
        plain, connection=connected.total - plain.total, main_memory=connected.main_memory
    )


def total_memory(step: Step, engine: Engine = ONE) -> MemoryEstimate:
    """As `estimate_memory`, in half the time: what the connection takes is in the other parts."""
    held = held_by(engine, step, build_model(step))
    layers = step.config.get_text_config().num_hidden_layers
    peaks = _peaks(held.step or step, layers, gradients_leave=held.gradients_leave)
    # Gradients that stay are in the peaks, at the moments when they are there.
    stay = 0 if held.gradients_leave else held.gradients
    in_use = {phase: peak - stay for phase, peak in peaks.items()}
    phase = max(in_use, key=lambda phase: in_use[phase] + held.gathered.get(phase, 0))
    activations, gathered = in_use[phase], held.gathered.get(phase, 0)
    if held.working > activations + gathered:
        activations, gathered = held.working, 0
    return MemoryEstimate(
        weights=held.weights,
        gradients=held.gradients,
        optimizer=held.optimizer,
        activations=activations,
        connection=0,
        engine=held.buffers + gathered,
        main_memory=held.main_memory,
    )


def _peaks(step: Step, layers: int, *, gradients_leave: bool) -> dict[str, int]:
    """The most bytes that live at once in each phase of a pass through `layers` layers.

    Each phase's peak grows linearly in the number of layers, so two small models tell about a large one.
    """
    few, more = 3, 4
    step = dataclasses.replace(step, optim="")  # has no part in a pass; traces are remembered
    try:
        if layers <= more:
            return trace_step(step, gradients_leave=gradients_leave)
        small = trace_step(step, few, gradients_leave=gradients_leave)
        large = trace_step(step, more, gradients_leave=gradients_leave)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UnknownMemoryError(
            f"the step of {step.config.model_type} cannot be traced: {reason}"
        ) from error
    return {phase: large[phase] + (large[phase] - small[phase]) * (layers - more) for phase in large}
