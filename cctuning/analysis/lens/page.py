"""The logit lens as a page of its own: every script in a browser's fonts, and a cell's likeliest tokens."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from matplotlib import colormaps
from matplotlib.colors import to_hex

from cctuning.analysis.lens.figure import COLOUR_MAP, ink, plot_lens
from cctuning.analysis.lens.logit_lens import Guess, Lens, LensPanel
from cctuning.reporting.documents import content_policy
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Logit lens</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #111; background: #fff; }}
.panels {{ display: flex; flex-wrap: wrap; gap: 1.5rem; }}
.panel {{ overflow-x: auto; max-width: 100%; }}
table {{ border-collapse: collapse; font-size: 13px; }}
caption {{ text-align: left; font-weight: bold; padding: .3rem 0; }}
th {{ font-weight: normal; padding: .15rem .4rem; white-space: nowrap; }}
thead th, tfoot th {{ border: 1px solid #ccc; }}
tbody td {{ border: 1px solid #fff; padding: .15rem .4rem; text-align: center; min-width: 4.5em;
  cursor: pointer; white-space: nowrap; }}
td.same {{ font-weight: bold; }}
td.moved {{ outline: 3px solid #D55E00; outline-offset: -2px; }}
td:focus {{ outline: 3px solid #000; outline-offset: -3px; }}
#said {{ position: sticky; bottom: 0; background: #fff; border-top: 2px solid #111; padding: .4rem 0;
  min-height: 1.5em; }}
.scale {{ display: inline-block; width: 8rem; height: .8rem; vertical-align: middle; border: 1px solid #999;
  background: linear-gradient(to right, {gradient}); }}
pre {{ white-space: pre-wrap; background: #f4f4f4; padding: .5rem; }}
</style>
<h1>Logit lens</h1>
<p>Each cell is the likeliest token when the model's own final norm and LM head read a layer's output at that
place. Colour: its probability, 0 <span class="scale"></span> 1. <b>Bold</b>: the token that was written.
Orange frame: where the {sublayer} output was exchanged (source layer → target layer: {swaps}). A click on a
cell shows its likeliest tokens. ␣ is a space; \\xe0 is a byte that is a part of a character.</p>
<div class="panels">
{panels}
</div>
<p id="said" aria-live="polite"></p>
<details><summary>The prompt that is answered</summary><pre dir="auto">{target}</pre></details>
<details><summary>The prompt that the outputs come from</summary><pre dir="auto">{source}</pre></details>
<script>{script}</script>
</html>
"""
_SCRIPT = """
const said = document.getElementById("said");
for (const cell of document.querySelectorAll("td")) {
  const show = () => { said.textContent = cell.dataset.said; };
  cell.addEventListener("focus", show);
  cell.addEventListener("click", show);
}
"""


@dataclass(frozen=True)
class ShownLens(Lens):
    """A lens that a notebook shows as its page, in a frame of its own."""

    def _repr_html_(self) -> str:
        height = 430 + 30 * len(self.plain.guesses)  # pixels
        frame = f"width:100%;height:{height}px;border:0"
        return f'<iframe title="Logit lens" srcdoc="{escape(_page(self))}" style="{frame}"></iframe>'


def draw(folder: str | Path, lens: Lens) -> None:
    """Writes `lens.html`, `lens.png`, `lens.svg` and the same numbers as `lens.json` into `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "lens.json", to_json(lens.as_json(), indent=1) + "\n")
    write_whole(folder / "lens.html", _page(lens))
    plot_lens(lens, folder)


def _page(lens: Lens) -> str:
    moved = ", ".join(f"{source} → {target}" for source, target in lens.swaps)
    panels = [
        _panel(lens.plain, "The model as it is", ()),
        _panel(lens.transplanted, f"With the transplant {moved}", [target for _, target in lens.swaps]),
    ]
    scale = [to_hex(colormaps[COLOUR_MAP](step / 10)) for step in range(11)]
    return _PAGE.format(
        policy=content_policy(_SCRIPT),
        script=_SCRIPT,
        gradient=", ".join(scale),
        sublayer=escape(lens.sublayer),
        swaps=escape(moved),
        panels="\n".join(panels),
        source=escape(lens.source_prompt),
        target=escape(lens.target_prompt),
    )


def _panel(reading: LensPanel, title: str, moved: tuple[int, ...] | list[int]) -> str:
    rows = []
    for layer, places in enumerate(reading.guesses):
        cells = [
            _cell(place, layer, reading.written[column], layer in moved and column == 0)
            for column, place in enumerate(places)
        ]
        rows.append(f'<tr><th scope="row">{layer}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="panel"><table><caption>{title}: <bdi>{escape(reading.answer)}</bdi></caption>'
        f"<thead>{_tokens('read', reading.read)}</thead><tbody>{''.join(rows)}</tbody>"
        f"<tfoot>{_tokens('written', reading.written)}</tfoot></table></div>"
    )


def _tokens(name: str, tokens: tuple[str, ...]) -> str:
    return f"<tr><th>{name}</th>{''.join(f'<th><bdi>{escape(token)}</bdi></th>' for token in tokens)}</tr>"


def _cell(place: tuple[Guess, ...], layer: int, written: str, moved: bool) -> str:
    best = place[0]
    title = escape(f"layer {layer}: " + ", ".join(f"{guess.text} {guess.probability:.1%}" for guess in place))
    names = " ".join(name for name, holds in (("same", best.text == written), ("moved", moved)) if holds)
    style = f"background:{to_hex(colormaps[COLOUR_MAP](best.probability))};color:{ink(best.probability)}"
    return (
        f'<td tabindex="0" class="{names}" style="{style}" title="{title}" data-said="{title}">'
        f"<bdi>{escape(best.text)}</bdi></td>"
    )
