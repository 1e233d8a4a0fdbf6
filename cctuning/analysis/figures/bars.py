"""Stacked bars, one per language: outcomes of answers, and categories of questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from cctuning.analysis.figures.parts import Content, head, shown_languages
from cctuning.analysis.measures.categories import CATEGORIES
from cctuning.reporting.plots import COLOURS, COLUMN, WIDTH, subplots
from cctuning.stats.estimates import MEAN


@dataclass(frozen=True)
class _Part:
    """One part of every bar."""

    quantity: str
    label: str
    colour: str
    hatch: str = ""


_OUTCOMES = (
    _Part("win", "win: wrong → right", COLOURS[0]),
    _Part("tie", "tie", "0.85"),
    _Part("lose", "lose: right → wrong", COLOURS[1], "////"),
)

# Source and target by colour, transplants by hatching.
_BASES = {(True, True): COLOURS[2], (True, False): COLOURS[5], (False, True): COLOURS[4]}


def draw_outcomes(outcomes: Content, title: str) -> Figure:
    """The shares of all answers, over questions and pairs, that win, tie and lose against the original."""
    return _draw(outcomes, _OUTCOMES, title, "answers, %", (COLUMN + 1, 1.1), 3)


def draw_categories(categories: Content, title: str) -> Figure:
    """The shares of questions: source right or wrong, target right or wrong, any transplant or none."""
    parts = [
        _Part(
            name,
            f"source {_sign(source)}, target {_sign(target)}, transplant {_sign(transplant)}",
            _BASES.get((source, target), "0.75"),
            "" if transplant else "////",
        )
        for (source, target, transplant), name in CATEGORIES.items()
    ]
    return _draw(categories, parts, title, "questions, %", (WIDTH, 1.5), 3)


def _sign(right: bool) -> str:
    return "✓" if right else "✗"


def _draw(
    quantities: Content,
    parts: Sequence[_Part],
    title: str,
    label: str,
    size: tuple[float, float],
    columns: int,
) -> Figure:
    """Bars of 100 %, with the share of every part that has room for it."""
    languages = shown_languages(quantities[parts[0].quantity])
    height = size[1] + 0.19 * len(languages)
    figure, axes = subplots((size[0], height))
    for place, language in enumerate(languages):
        left = 0.0
        for part in parts:
            share = _share(quantities[part.quantity], language)
            axes.barh(
                place,
                share,
                left=left,
                height=0.8,
                color=part.colour,
                hatch=part.hatch,
                edgecolor="white",
                linewidth=0.4,
                label=part.label if place == 0 else None,
            )
            if share >= 2.2 * WIDTH / size[0]:
                text = axes.text(
                    left + share / 2, place, f"{share:.0f}", ha="center", va="center", fontsize=6.5
                )
                text.set_bbox({"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 0.8})
            left += share
    axes.set_yticks(range(len(languages)), languages)
    axes.set(xlim=(0, 100), ylim=(len(languages) - 0.4, -0.6), xlabel=label)
    if MEAN in languages:
        axes.axhline(len(languages) - 1.5, color="0.3", linewidth=0.6)  # above it
    axes.tick_params(axis="y", length=0)
    head(figure, title, *axes.get_legend_handles_labels(), columns=columns)
    return figure


def _share(estimates: Mapping[str, Content], language: str) -> float:
    value = estimates[language]["value"]
    return 0.0 if value is None else 100 * float(value)
