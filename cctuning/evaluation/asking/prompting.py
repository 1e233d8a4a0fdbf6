"""Wording of questions: the prompting baselines of XTransplant."""

from typing import Literal, get_args

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.prompt_templates import load_data
from cctuning.settings.near_matches import did_you_mean

Prompting = Literal["original", "cot", "pim"]


def prompts_of(item: Item, benchmark: Benchmark, *, prompting: str = "original") -> tuple[str, str]:
    """The text that is asked, and its parallel text for the connection ("" where the item has none).

    Multilingual benchmarks are asked in the item's language, with English as the parallel; those of culture
    (`asked_in_english`) the other way round. `prompting` is one of

    - original: the benchmark's prompt;
    - cot: a line "Let's think step by step" in the text's own language is added to either text;
    - pim: the asked text follows its parallel, in one prompt, after a blank line (parallel input in multiple
      languages). An item whose two texts are equal, as in English, is asked once; one without a parallel
      cannot be asked so, and both texts are "".

    Raises `ValueError` for another `prompting` and a language without a cot line.
    """
    texts = (item.prompt, item.prompt_en)
    languages = (item.language, "en")
    if benchmark.asked_in_english:
        texts, languages = texts[::-1], languages[::-1]
    prompt, parallel = texts
    if prompting == "original":
        return prompt, parallel
    if prompting == "cot":
        return _step_by_step(prompt, languages[0]), _step_by_step(parallel, languages[1])
    if prompting == "pim":
        if not parallel:
            return "", ""
        return prompt if prompt == parallel else f"{parallel}\n\n{prompt}", parallel
    known = get_args(Prompting)
    raise ValueError(
        f"prompting={prompting!r} is not one of {', '.join(known)}{did_you_mean(prompting, known)}"
    )


def _step_by_step(text: str, language: str) -> str:
    lines = load_data("step_by_step")
    line = lines.get(language) or lines.get(language.split("-")[0])
    if line is None:
        raise ValueError(
            f"prompting=cot has no line in the language {language!r}, only in {', '.join(lines)}: "
            "add one to cctuning/evaluation/prompt_templates/step_by_step.yaml"
        )
    return f"{text}\n{line}" if text else ""
