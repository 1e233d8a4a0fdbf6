"""Upper bound by number of tries: pairs drawn at random, from one to all."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from cctuning.analysis.figures.parts import Content, own_languages, percents
from cctuning.reporting.plots import COLOURS, COLUMN, subplots


def draw_tries(bounds: Content, tries: Sequence[int], title: str) -> Figure:
    """The share of questions that any of n random pairs answers, with what the same tries give by chance."""
    figure, axes = subplots((COLUMN, 2.9))
    figure.suptitle(title)
    curves = bounds["right_by_tries"]
    languages = own_languages(curves)
    for number, language in enumerate(languages if len(languages) > 1 else []):
        name = "each language" if number == 0 else None
        axes.plot(tries, percents(curves[language]["value"]), color="0.75", linewidth=0.5, label=name)
    mean = curves["mean"]
    axes.fill_between(
        tries, percents(mean["low"]), percents(mean["high"]), color=COLOURS[0], alpha=0.2, linewidth=0
    )
    axes.plot(tries, percents(mean["value"]), "o-", color=COLOURS[0], markersize=3, label="any pair, mean")
    original = percents(bounds["original"]["mean"]["value"])
    axes.axhline(original, linestyle="--", color=COLOURS[1], linewidth=1.2, label="original")
    if "chance_bound" in bounds:
        chance = percents(bounds["chance_bound"]["mean"]["value"])
        axes.plot(tries[-1], chance, "D", color=COLOURS[2], markersize=5, label="all pairs, by chance")
    axes.set_xscale("log", base=2)
    axes.set_xticks(tries[::2], [f"{number:,}" for number in tries[::2]])
    axes.minorticks_off()
    axes.set(xlabel="pairs tried", ylabel="questions answered rightly, %")
    axes.grid()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
