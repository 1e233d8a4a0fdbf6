"""Signals during training: the step is finished and a checkpoint is saved before the run ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cctuning.tools.signals import ending_signals


class StopOnSignal(TrainerCallback):
    """A Trainer callback that ends training after the current step once a signal has come, with a checkpoint.

    SIGTERM, SIGHUP and Ctrl-C are noted inside of a `with` block, in the main thread. A scheduler may signal
    one process only, or several at different steps: all of them agree after each step, and stop together. A
    second Ctrl-C raises `KeyboardInterrupt` at once.
    """

    def __init__(self) -> None:
        self.received = 0  # the number of the signal; 0: none yet
        self.stopped = False  # whether training was ended by it
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note) for number in [*ending_signals(), signal.SIGINT]
            }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Asks for a checkpoint and the end of training, unless this was the last step anyway."""
        if self._agreed(args) and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    def _agreed(self, args: TrainingArguments) -> bool:
        """Whether any process has received a signal; then all know which."""
        if args.world_size > 1:
            received = torch.tensor(self.received, device=args.device)
            distributed.all_reduce(received, op=distributed.ReduceOp.MAX)
            self.received = int(received)
        return self.received > 0
