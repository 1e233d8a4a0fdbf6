"""Callbacks of training: temperature schedule, noise per rank, metrics file, progress."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ProgressCallback

from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.data.fields import type_name
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import non_finite, to_json

METRICS_FILE = "metrics.jsonl"
TOKENS = "tokens/"  # begins a name in it: label tokens, then a language
_DURATIONS = ("_runtime", "_per_second")


def scheduled_temperature(start: float, end: float, progress: float, schedule: str = "linear") -> float:
    """The Gumbel-softmax temperature at `progress` in [0, 1] of training, linear or exponential."""
    if schedule == "exponential":
        return float(start * (end / start) ** progress)
    return start + (end - start) * progress


class TemperatureSchedule(TrainerCallback):
    """Moves the connection's temperature from its configured value to `final` over the run."""

    def __init__(self, connection: ConnectionConfig, final: float, schedule: str = "linear") -> None:
        self.connection, self.start, self.final, self.schedule = (
            connection,
            connection.temperature,
            final,
            schedule,
        )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Depends on the step alone, so that a resumed run continues exactly."""
        progress = state.global_step / max(state.max_steps - 1, 1)  # 1 at the last step
        self.connection.temperature = scheduled_temperature(self.start, self.final, progress, self.schedule)


class NoisePerRank(TrainerCallback):
    """Seeds each rank differently: the Trainer seeds all alike, and all would draw the same Gumbel noise.

    A resumed run loads its random states after this, and so continues exactly.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Rank 0 keeps the Trainer's seed, so one process trains as without this."""
        if args.process_index > 0:
            torch.manual_seed(args.seed + args.process_index)


def metrics_fault(values: Any) -> str | None:
    """What keeps a decoded line from being one of a metrics file; None where nothing does."""
    if not isinstance(values, Mapping):
        return f"is {type_name(values)}, must be an object"
    numbers = {
        key: value for key, value in values.items() if key in ("step", "loss") or key.startswith(TOKENS)
    }
    if "step" not in numbers:
        return "step: is missing"
    if numbers.get("loss", 0) is None:  # it was not finite
        del numbers["loss"]
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{key}: is {type_name(value)}, must be a number"
    return None


def _steps(path: Path) -> Iterator[tuple[str, float]]:
    """The lines of a metrics file and their steps; a last one that a kill has cut short has none.

    Raises `ValueError` for another line that is none of a metrics file.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            fault = metrics_fault(values)
        except ValueError as error:
            if number == len(lines):
                return
            fault = f"no JSON ({error})"
        if fault:
            raise ValueError(f"{path}, line {number}: {fault}: take the line away, and the run goes on")
        yield line, values["step"]


class MetricsFile(TrainerCallback):
    """Appends what is logged to `metrics.jsonl`, an object per log; a resumed run drops what it repeats."""

    def __init__(self, output_dir: str | Path) -> None:
        self.path = Path(output_dir) / METRICS_FILE

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keeps the lines up to the step that training starts from."""
        if not state.is_world_process_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = _steps(self.path) if self.path.is_file() and state.global_step else ()
        kept = [line for line, step in lines if step <= state.global_step]
        write_whole(self.path, "".join(f"{line}\n" for line in kept))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The last step is logged too, so that the last line is the trained model's."""
        control.should_log = control.should_log or state.global_step >= state.max_steps

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """One line, from the first process; of what was measured, not of how long it took."""
        values = {
            # A norm of gradients may overflow in float16, whose scaler then leaves the step out.
            name: None if non_finite(value) is not None else value
            for name, value in (logs or {}).items()
            if not name.endswith(_DURATIONS)
        }
        # The Trainer ends with durations and a mean loss, both since the run was last resumed.
        if state.is_world_process_zero and "train_loss" not in values:
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(to_json({"step": state.global_step, **values}) + "\n")
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from error


class TrainingBar(ProgressCallback):
    """The Trainer's progress bar with time left, and the loss in it; the Trainer would print every value."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Everything logged is in the metrics file."""
        if state.is_world_process_zero and self.training_bar is not None and logs and "loss" in logs:
            self.training_bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)
