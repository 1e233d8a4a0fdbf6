"""The control of a sweep: the same questions, each with the source prompt of another one."""

from collections.abc import Sequence
from dataclasses import replace

from cctuning.analysis.probing.tasks import ProbeTask
from cctuning.stats.bootstrap import generator


def control_tasks(probes: Sequence[ProbeTask], seed: int) -> list[ProbeTask]:
    """The tasks with each question's source prompt taken from another question of its language.

    Which one is a derangement by the seed: of the distinct source prompts in a random order each is followed
    by its stand-in, so no question keeps its own, nor an equal one. Tasks with fewer than two are left out.
    """
    return [control for probe in probes if (control := _control(probe, seed)) is not None]


def _control(probe: ProbeTask, seed: int) -> ProbeTask | None:
    questions = probe.task.questions
    distinct = list({prompt.text: prompt for question in questions if (prompt := question.parallel)}.values())
    if len(distinct) < 2:
        return None
    # The same for every language of a benchmark that holds the same questions.
    order = generator(seed, probe.benchmark, "control").permutation(len(distinct)).tolist()
    others = {
        distinct[place].text: distinct[other]
        for place, other in zip(order, [*order[1:], order[0]], strict=True)
    }
    moved = [
        replace(question, parallel=others[question.parallel.text])
        for question in questions
        if question.parallel
    ]
    return replace(probe, task=replace(probe.task, questions=moved))
