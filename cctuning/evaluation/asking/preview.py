"""Output of `dry_run=true` for an evaluation: questions, lengths, and one as the model reads it."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cctuning.data.preview import lengths, marked_prompt
from cctuning.evaluation.asking.tasks import Task
from cctuning.evaluation.items.selection import ItemSet
from cctuning.reporting.tables import RecordTable


def tasks_table(tasks: Sequence[Task], sets: Sequence[ItemSet]) -> Table:
    """Questions and prompt lengths of every task, and how many items were left out."""
    count = sum(len(task.questions) for task in tasks)
    head = ["benchmark", "language", "questions", "prompt", "parallel", "left out"]
    rows = []
    for task, item_set in zip(tasks, sets, strict=True):
        parallel = [len(question.parallel.ids) for question in task.questions if question.parallel]
        rows.append(
            [
                task.benchmark.title,
                task.language,
                f"{len(task.questions):,}",
                lengths([len(question.prompt.ids) for question in task.questions]),
                lengths(parallel) if parallel else "",
                len({id for ids in item_set.left_out.values() for id in ids}) or "",
            ]
        )
    title = f"{count:,} questions (tokens: median/95th percentile/longest)"
    return RecordTable(head, rows).screen(text=(0, 1), title=title)


def question_panel(task: Task, tokenizer: Any, *, parallel: str = "parallel, for the connection:") -> Panel:
    """The first question of a task; brackets mark the response start. `parallel`: said of its parallel."""
    question = task.questions[0]
    shown: list[Text] = [marked_prompt(tokenizer, question.prompt.ids)]
    if question.parallel:
        other = marked_prompt(tokenizer, question.parallel.ids)
        shown += [Text(f"\n{parallel}", style="bold"), other]
    item = question.item
    return Panel(
        Group(*shown),
        title=Text(f"{task.benchmark.title}, {task.language}, id {item.id}"),
        subtitle=Text(f"answer: {' | '.join(item.answers)}"),
    )
