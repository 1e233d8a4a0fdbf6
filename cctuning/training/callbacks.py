"""Callbacks of training: temperature, noise per rank, the Decision Maker's choice, metrics file, progress."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ProgressCallback

from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import non_finite, to_json
from cctuning.training.metrics import CHOICE_ENTROPY, EVALUATED_LOSS, LAYER_SHARE, METRICS_FILE, metric_steps

_DURATIONS = ("_runtime", "_per_second")


def scheduled_temperature(start: float, end: float, progress: float, schedule: str = "linear") -> float:
    """The Gumbel-softmax temperature at `progress` in [0, 1] of training, linear or exponential."""
    if schedule == "exponential":
        return float(start * (end / start) ** progress)
    return start + (end - start) * progress


class TemperatureSchedule(TrainerCallback):
    """Moves the connection's temperature from its configured value to `final` over the run."""

    def __init__(self, connection: ConnectionConfig, final: float, schedule: str = "linear") -> None:
        self.connection, self.final, self.schedule = connection, final, schedule
        self.start = connection.temperature

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """That of the last step of a run that is resumed: there may be none left to take."""
        if state.global_step:
            self._set(state.global_step - 1, state.max_steps)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Depends on the step alone, so that a resumed run continues exactly."""
        self._set(state.global_step, state.max_steps)

    def _set(self, step: int, steps: int) -> None:
        progress = step / max(steps - 1, 1)  # 1 at the last step
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


class BeforeSteps(TrainerCallback):
    """Calls `first` once the model is loaded and wrapped by its engine, and `each` before every step."""

    def __init__(self, first: Callable[[], None], each: Callable[[], None]) -> None:
        self.first, self.each = first, each

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Also of a run that is resumed."""
        self.first()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Of an optimizer's step, before its first pass."""
        self.each()


class EarlyStopping(TrainerCallback):
    """Ends the run after `patience` evaluations in a row without a lower loss, or a higher score.

    They are read from the state, which checkpoints keep: a resumed run ends at the same step.
    """

    def __init__(self, patience: int, metric: str = EVALUATED_LOSS) -> None:
        self.patience, self.metric = patience, metric

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """This evaluation is in the history by now."""
        values = [line[self.metric] for line in state.log_history if self.metric in line]
        best = min(values) if self.metric == EVALUATED_LOSS else max(values)
        since_best = len(values) - 1 - values.index(best)
        control.should_training_stop = control.should_training_stop or since_best >= self.patience


class DecisionMakerCheck(TrainerCallback):
    """Warns of a Decision Maker that has decided before training, and of one that training does not move.

    Both are seen by the entropy of its choice among L layers: far below log L at the first step, or still at
    log L behind the last one. A run that is resumed has passed its first step.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.warn = warn

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Of the first and the last step."""
        layers = sum(name.startswith(LAYER_SHARE) for name in logs or {})
        if not logs or CHOICE_ENTROPY not in logs or layers < 2 or not state.is_world_process_zero:
            return
        entropy, most = logs[CHOICE_ENTROPY], math.log(layers)
        numbers = f"the entropy of its choice is {entropy:.2f} of {most:.2f} nats"
        if state.global_step == 1 and entropy < 0.25 * most:
            self.warn(
                f"the Decision Maker has decided before training, by chance: {numbers}. With "
                "connection.decision_maker_norm=true it begins with all layers alike"
            )
        if state.global_step >= state.max_steps > 1 and entropy > 0.98 * most:
            self.warn(
                f"training has not moved the Decision Maker, which chooses at random: {numbers}. Raise "
                "connection.decision_maker_lr_multiplier, or train for more steps"
            )


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
        lines = metric_steps(self.path) if self.path.is_file() and state.global_step else ()
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
