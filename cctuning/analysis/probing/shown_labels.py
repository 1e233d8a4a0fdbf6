"""Whether prompts show the labels that their answers are judged by: translations may have others."""

from collections.abc import Iterable, Sequence

import regex

from cctuning.analysis.probing.tasks import ProbeTask


def unshown_labels(probes: Sequence[ProbeTask]) -> list[str]:
    """Warns, in words, of each benchmark and language none of whose prompts shows its gold label.

    The source and the asked prompts are looked at apart. Of GlobalOpinionQA's machine translations, those
    into Amharic, Arabic and Greek have labels of the script's own, so what the model answers to them is
    wrong whatever it says.
    """
    warnings = []
    for probe in probes:
        if probe.task.benchmark.kind != "choice":
            continue
        sources = zip(probe.task.questions, probe.sources, strict=True)
        sides = {
            "source": [
                (question.parallel.text, item.answers[0]) for question, item in sources if question.parallel
            ],
            "asked": [(question.prompt.text, question.item.answers[0]) for question in probe.task.questions],
        }
        warnings += [
            f"{probe.task.benchmark.title} {probe.language}: no {side} prompt shows its gold label, so "
            f"answers to it are judged by labels that the model has not seen"
            for side, shown in sides.items()
            if not _any_shown(shown)
        ]
    return list(dict.fromkeys(warnings))


def _any_shown(prompts: Iterable[tuple[str, str]]) -> bool:
    return any(
        regex.search(rf"(?<![\p{{L}}\d]){regex.escape(label)}(?![\p{{L}}\d])", text)
        for text, label in prompts
    )
