"""Evaluations of the unseen questions, of other models or other promptings, beside a study."""

from collections.abc import Collection, Sequence
from pathlib import Path

from cctuning.analysis.probing.tasks import ProbeTask
from cctuning.evaluation.comparison.evaluations import Evaluation, name_evaluations, read_evaluation


def read_baselines(
    folders: Sequence[str | Path], probes: Sequence[ProbeTask], taken: Collection[str]
) -> dict[str, Evaluation]:
    """Folders of cctuning evaluate by the names that `cctuning compare` would give them.

    `taken`: what else is compared is called so. Raises `ResultsError` where a folder is none, and
    `ValueError` for one that holds none of the questions of `probes`, and for a name that is taken.
    """
    evaluations = [read_evaluation(folder) for folder in folders]
    known = {
        f"{probe.benchmark}_{probe.language}": set(zip(probe.ids, probe.fingerprints, strict=True))
        for probe in probes
    }
    for evaluation in evaluations:
        marked = {
            name: {(str(id), mark) for id, mark in task.questions.items()}
            for name, task in evaluation.tasks.items()
        }
        if not any(ids & known.get(name, set()) for name, ids in marked.items()):
            raise ValueError(
                f"beside: {evaluation.folder} holds none of the unseen questions of this study, only other "
                f"ones of {', '.join(sorted(marked))} (with direction=to_centre they are those of the centre)"
            )
    names = name_evaluations(evaluations)
    if clash := next((name for name in names if name in taken), None):
        raise ValueError(f"beside: an evaluation is called {clash!r}, as is another line of the comparison")
    return dict(zip(names, evaluations, strict=True))
