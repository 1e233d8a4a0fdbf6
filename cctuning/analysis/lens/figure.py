"""The logit lens as a picture: PNG, and SVG whose text a browser draws with its own fonts."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cctuning.analysis.lens.glyphs import BASE, drawable, families, fit
from cctuning.analysis.lens.logit_lens import Lens, LensPanel
from cctuning.reporting.plots import COLOURS, save, style, subplots

COLOUR_MAP = "Blues"  # of probabilities: from white, so that text can be read on it
_COLUMNS = 12  # of a cell's text; a Chinese character takes two
_CELL = (0.95, 0.32)  # inches
_LABEL: dict[str, Any] = {"parse_math": False}  # a dollar sign begins no formula
Shown = Callable[[str], str]


def plot_lens(lens: Lens, folder: Path) -> None:
    """Writes `lens.png` and `lens.svg` into `folder`.

    In the PNG, characters that no font of this machine has are code points. The SVG holds them as they are.
    """
    fonts = families(_texts(lens))
    with style(**{"font.family": fonts, "axes.unicode_minus": False}):
        _save(lens, folder / "lens.png", lambda text: drawable(text, fonts))
    with style(**{"font.family": [BASE, "sans-serif"], "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        _save(lens, folder / "lens.svg", lambda text: text)


def ink(probability: float) -> str:
    """Black or white, what is read better on a probability's colour: a contrast (WCAG) of 4.5 or more."""
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colormaps[COLOUR_MAP](probability)[:3]
    )
    light = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if light > 0.179 else "#ffffff"


def _texts(lens: Lens) -> list[str]:
    readings = (lens.plain, lens.transplanted)
    guessed = [place[0].text for panel in readings for layer in panel.guesses for place in layer]
    return [*guessed, *(text for panel in readings for text in (*panel.read, *panel.written))]


def _save(lens: Lens, path: Path, shown: Shown) -> None:
    places = [len(lens.plain.read), len(lens.transplanted.read)]
    layers = len(lens.plain.guesses)
    size = (1.8 + _CELL[0] * sum(places), 1.7 + _CELL[1] * layers)
    figure, panels = subplots(size, 1, 2, width_ratios=places)
    for axes, reading, swaps in zip(panels, (lens.plain, lens.transplanted), ((), lens.swaps), strict=True):
        _draw(axes, reading, shown)
        for _, target in swaps:
            frame = Rectangle((-0.5, target - 0.5), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2)
            axes.add_patch(frame).set(clip_on=False, zorder=3)
    panels[0].set_ylabel("layer, from 0")
    panels[0].set_title("as it is")
    moved = ", ".join(f"{source} → {target}" for source, target in lens.swaps)
    panels[1].set_title(f"with {lens.sublayer} {moved} (layers)")
    image = panels[0].images[0]
    figure.colorbar(image, ax=panels, aspect=40, pad=0.01).set_label("probability")
    if any(shown(text) != text for text in _texts(lens)):
        note = "\\u…: a character that no font of this machine has; lens.html and lens.svg show it"
        figure.supxlabel(note)
    save(figure, path)


def _draw(axes: Axes, reading: LensPanel, shown: Shown) -> None:
    values = [[place[0].probability for place in layer] for layer in reading.guesses]
    axes.imshow(values, cmap=COLOUR_MAP, vmin=0, vmax=1, aspect="auto")
    for row, layer in enumerate(reading.guesses):
        for column, place in enumerate(layer):
            right = place[0].text == reading.written[column]
            axes.text(
                column,
                row,
                _text(place[0].text, shown),
                ha="center",
                va="center",
                fontsize=7,
                fontweight="bold" if right else "normal",
                color=ink(place[0].probability),
                parse_math=False,
            )
    columns = range(len(reading.read))
    axes.set_xticks(columns, [_text(text, shown) for text in reading.written], **_LABEL)
    axes.set_xlabel("token written (bold above: the same)")
    axes.set_yticks(range(len(reading.guesses)))
    top = axes.secondary_xaxis("top")
    top.set_xticks(columns, [_text(text, shown) for text in reading.read], **_LABEL)
    top.set_xlabel("token read")


def _text(text: str, shown: Shown) -> str:
    return fit(shown(text), _COLUMNS)
