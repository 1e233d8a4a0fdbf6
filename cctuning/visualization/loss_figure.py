"""Training losses of several runs in one figure."""

from collections.abc import Sequence
from pathlib import Path

from cctuning.reporting.plots import COLOURS, LINES, MARKERS, WIDTH, legend_beside, save, style, subplots
from cctuning.visualization.losses import Losses


@style()
def plot_losses(runs: Sequence[Losses], paths: Sequence[str | Path], *, x: str = "step") -> None:
    """Writes the figure to `paths`, which end in the formats to write.

    The losses as they were logged are thin, their running means thick. `x`: step or tokens.
    """
    figure, axes = subplots((WIDTH, 3.9))
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        places = run.steps if x == "step" else run.tokens
        axes.plot(places, run.losses, color=colour, linewidth=0.8, alpha=0.35)
        axes.plot(
            places,
            run.smoothed,
            color=colour,
            linewidth=2,
            linestyle=LINES[number // len(COLOURS) % len(LINES)],
            marker=MARKERS[number % len(MARKERS)],
            markevery=(number / max(len(runs), 1) / 10, 0.1),  # markers of curves that lie together do not
            markersize=5,
            label=run.name + (f" ({run.left_out} values not finite)" if run.left_out else ""),
        )
    axes.set(
        xlabel="step" if x == "step" else "label tokens",
        ylabel="nats per label token",
        title="training loss (thin: as logged; thick: running mean)",
    )
    axes.grid()
    legend_beside(axes)
    save(figure, *paths)
