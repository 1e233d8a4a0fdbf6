"""`ResumableTrainer`: an SFTTrainer whose runs go on exactly where they were stopped, killed or cut off."""

import copy
import json
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTConfig, SFTTrainer

from cctuning.distributed.engines import running_engine
from cctuning.training.checkpoints import (
    CheckpointError,
    checkpoint_folder,
    newest_complete,
    remove,
    remove_old,
    seal,
    write_failures_explained,
)
from cctuning.training.pickles import check_pickles
from cctuning.training.row_order import EpochOrder


class ResumableTrainer(SFTTrainer):
    """Writes checkpoints that count only when they are complete (see `checkpoints`), and goes on from them.

    What a subclass has to remember beside weights, optimizer and random states, it gives as `own_state` and
    gets back through `restore_own_state`, each process its own. Of `args.save_total_limit` checkpoints only
    complete ones count.
    """

    def __init__(self, *, args: SFTConfig, **options: Any) -> None:
        args = copy.copy(args)
        # The Trainer removes old checkpoints before it can be known whether the new one is complete.
        self.save_total_limit, args.save_total_limit = args.save_total_limit, None
        self._resumed_step = self._saved_step = 0
        super().__init__(args=args, **options)

    def own_state(self) -> dict[str, Any]:
        """The state that this process has to keep, as JSON values."""
        raise NotImplementedError

    def restore_own_state(self, state: dict[str, Any]) -> None:
        """Takes back what `own_state` gave. Raises `CheckpointError` where the run cannot go on from it."""
        raise NotImplementedError

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As the Trainer's, from a checkpoint's path, or with True from the newest complete one.

        Raises `CheckpointError` where there is none, and `UnsafePickleError` for one that names code to run.
        """
        self._resumed_step = self._saved_step = 0
        if resume_from_checkpoint is True:
            newest = newest_complete(self.args.output_dir)
            if newest is None:
                raise CheckpointError(f"{self.args.output_dir} holds no complete checkpoint to resume from")
            resume_from_checkpoint = str(newest.path)
        if resume_from_checkpoint:
            check_pickles(resume_from_checkpoint)
            self._restore(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint=resume_from_checkpoint or None, **kwargs)

    def _restore(self, checkpoint: Path) -> None:
        state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        self._resumed_step = self._saved_step = int(state["global_step"])
        file = checkpoint / self._own_file
        if file.is_file():  # there may be more processes now than when it was written
            self.restore_own_state(json.loads(file.read_text(encoding="utf-8")))

    def set_initial_training_values(self, args: Any, dataloader: Any) -> Any:
        """As the Trainer's; a run that is resumed after its last step has no epochs left.

        The Trainer would look at the number of steps only after one more.
        """
        epochs, *others, max_steps = super().set_initial_training_values(args, dataloader)
        return 0 if self._resumed_step >= max_steps else epochs, *others, max_steps

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.args.train_sampling_strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        rows = self.train_dataset if train_dataset is None else train_dataset
        grouped = self.args.train_sampling_strategy == "group_by_length"
        return EpochOrder(
            len(rows),
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            epoch=lambda: int(self.state.epoch or 0),
            lengths=rows[self.args.length_column_name] if grouped else None,
            group=self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size,
        )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The Trainer's checkpoint with `own_state`, and at last its marker."""
        step = self.state.global_step
        if step == self._saved_step:  # the end of an epoch is the end of a step, too
            return
        folder = checkpoint_folder(self.args.output_dir, step)
        with write_failures_explained(self.args.output_dir, step):
            if self.args.should_save:
                remove(folder)  # what an interruption has left
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)
            folder.mkdir(exist_ok=True)  # this process may be the first one here
            (folder / self._own_file).write_text(json.dumps(self.own_state()) + "\n", encoding="utf-8")
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                engine = running_engine(self.accelerator)
                seal(folder, step=step, engine=engine.name, processes=engine.processes)
        if self.args.should_save:
            best = self.state.best_model_checkpoint
            remove_old(self.args.output_dir, self.save_total_limit, folder, protected=best)
        self._saved_step = step

    @property
    def _own_file(self) -> str:
        return f"cctuning_state_{self.args.process_index}.json"

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card with a checkpoint: TRL's knows no connection, and a run's own comes at its end."""
        return
