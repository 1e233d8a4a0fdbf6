"""The rivals that need no transplant: the same questions under other promptings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.analysis.probing.tasks import ProbeTask, judged_by
from cctuning.data.prompts import PromptFormat
from cctuning.distributed.sharing import ALONE, Shard
from cctuning.evaluation.asking.responses import GenerationSettings, ask
from cctuning.evaluation.asking.samples import make_samples
from cctuning.evaluation.asking.store import StoredTask, open_folder, stored_speeds, write_samples
from cctuning.evaluation.asking.tasks import Task, make_task, split_faulty
from cctuning.evaluation.results.folder import write_results
from cctuning.evaluation.results.results import summarise


def prompted_tasks(
    probes: Sequence[ProbeTask],
    prompts: PromptFormat,
    prompting: str,
    *,
    positions: int | None,
    new_tokens: int,
    leave_out: bool = False,
) -> list[Task]:
    """The questions of a study under the prompting `cot` or `pim`. Raises what `split_faulty` raises."""
    tasks = []
    for probe in probes:
        task, _ = split_faulty(
            make_task(probe.item_set, prompts, mode="none", prompting=prompting),
            probe.item_set,
            prompts,
            positions=positions,
            new_tokens=new_tokens,
            leave_out=leave_out,
        )
        tasks.append(judged_by(task, [question.item for question in probe.task.questions]))
    return tasks


def ask_prompted(
    model: Any,
    prompts: PromptFormat,
    tasks: Sequence[Task],
    folder: Path,
    prompting: str,
    how: GenerationSettings,
    settings: Mapping[str, Any],
    *,
    shard: Shard = ALONE,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Asks everything, and leaves a folder as cctuning evaluate does: samples, results.json, a table.

    What an interrupted call has left is gone on with. Of several processes the first one writes.
    """
    config = {
        **settings,
        "inference": "none",
        "prompting": prompting,
        "max_new_tokens": how.max_new_tokens,
        "log_likelihood": how.log_likelihood,
    }
    if shard.rank == 0:
        stored = {
            task.name: StoredTask(task.benchmark.name, task.language, task.fingerprint(), {})
            for task in tasks
        }
        open_folder(folder, config, stored)
    samples = {}
    for task in tasks:
        responses = ask(model, prompts, task, folder, how, shard=shard, progress=progress)
        if shard.rank == 0:
            made = make_samples(task, responses, prompting=prompting)
            write_samples(folder, task.name, made)
            samples[task.benchmark.name, task.language] = made
    if shard.rank == 0:
        speeds = stored_speeds(folder)
        write_results(folder, summarise(samples, config=config | {"run_name": prompting}, speeds=speeds))
