"""Cost of a study, in tokens that go through the model's layers."""

from collections.abc import Sequence

from rich.table import Table

from cctuning.analysis.probing.tasks import ProbeTask
from cctuning.analysis.transplant.trees import trees_of
from cctuning.data.preview import lengths
from cctuning.reporting.tables import RecordTable


def token_forwards(probe: ProbeTask, layers: int, new_tokens: int, positions: int = 1) -> int:
    """At most so many for all pairs of `layers` layers: cells times new tokens, and each prompt once.

    With more `positions` the prompt's last tokens, but for the last one, are read by each cell, too.

    Options (`option_forwards`) and scores of other answers come on top, and so do source prompts that are
    asked as they are.
    """
    cells, own = layers**2 + 1, max(1, new_tokens) + positions - 1
    return sum(cells * own + question.tokens for question in probe.task.questions)


def option_forwards(probe: ProbeTask, layers: int) -> int:
    """So many more to score the options in all cells: beginnings once, and no last token."""
    nodes = (trees_of([question.option_ids]).tokens.shape[1] for question in probe.task.questions)
    return (layers**2 + 1) * sum(nodes)


def naive_token_forwards(probe: ProbeTask, layers: int, new_tokens: int) -> int:
    """The same where each pair is a generation of its own, which reads the asked prompt again."""
    return sum(
        layers**2 * (len(question.prompt.ids) + max(1, new_tokens) - 1) + layers * len(question.parallel.ids)
        for question in probe.task.questions
        if question.parallel
    )


def cost_table(
    probes: Sequence[ProbeTask],
    layers: int,
    new_tokens: int,
    sublayers: int,
    positions: int = 1,
    *,
    options: bool = True,
) -> Table:
    """Questions, prompt lengths and the token-forwards of the grids of every task, in 80 columns.

    With `options` those that score the options of choices count.
    """
    count = sum(len(probe.task.questions) for probe in probes)
    left_out = sum(len({id for ids in probe.item_set.left_out.values() for id in ids}) for probe in probes)
    columns = ["benchmark", "", "n", "asked", "source", "grids", "by pair"]
    rows, total, by_pair = [], 0, 0
    for probe in probes:
        questions = probe.task.questions
        scored = option_forwards(probe, layers) if options else 0
        forwards = token_forwards(probe, layers, new_tokens, positions) + scored
        naive = naive_token_forwards(probe, layers, new_tokens) + scored
        total, by_pair = total + forwards, by_pair + naive
        rows.append(
            [
                probe.task.benchmark.title,
                probe.language,
                f"{len(questions):,}",
                lengths([len(question.prompt.ids) for question in questions]),
                lengths([len(question.parallel.ids) for question in questions if question.parallel]),
                f"{sublayers * forwards:,}",
                f"{naive / forwards:.1f} x",
            ]
        )
    rows.append([])
    rows.append(["all", "", f"{count:,}", "", "", f"{sublayers * total:,}", f"{by_pair / total:.1f} x"])
    return RecordTable(columns, rows).screen(
        text=(0, 1),
        title=f"{count:,} questions, every one of {layers} layers into every one",
        caption="asked, source: tokens, median/95th percentile/longest. grids: token-forwards at most; by "
        "pair: how many times as many where each pair is a generation of its own. Scores of answers, "
        f"sources as they are, and the control come on top. {left_out:,} questions were left out.",
    )
