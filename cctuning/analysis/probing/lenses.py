"""Logit lenses of questions of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from cctuning.analysis.cells.grid import GridKey, LayerPair
from cctuning.analysis.lens import draw, logit_lens
from cctuning.analysis.probing.study import Study
from cctuning.analysis.probing.tasks import ProbeTask


def draw_lenses(
    study: Study, probes: Sequence[ProbeTask], shown: Mapping[GridKey, tuple[str, LayerPair]], folder: Path
) -> dict[str, Path]:
    """Draws each question, by id, with and without a transplant; returns titles and pages.

    A page lies in a folder within `folder`, named by the question's place, since ids may be anything.
    Raises `ValueError` for a model that has no logit lens (`lens.logit_lens`), and `OSError`.
    """
    tasks = {(probe.benchmark, probe.language): probe for probe in probes}
    pages = {}
    for (sublayer, benchmark, language), (id, pair) in shown.items():
        probe = tasks[benchmark, language]
        place = probe.ids.index(id)
        question = probe.task.questions[place]
        assert question.parallel is not None
        lens = logit_lens(
            study.model,
            study.prompts.tokenizer,
            torch.tensor(question.parallel.ids),
            torch.tensor(question.prompt.ids),
            study.cell_of(pair),
            sublayer=sublayer,
            intervention=study.how.intervention,
        )
        subfolder = folder / f"lens_{benchmark}_{sublayer}_{language}_{place}"
        draw(subfolder, lens)
        title = f"{probe.task.benchmark.title}, {language}, {sublayer}, question {id}: {pair[0]} → {pair[1]}"
        pages[title] = subfolder / "lens.html"
    return pages
