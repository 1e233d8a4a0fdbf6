"""The report's page: template, style and scripts put together, with a policy that lets nothing else run."""

from collections.abc import Mapping, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from cctuning.analysis.report.tables import Table, printable
from cctuning.reporting.documents import content_policy

_SCRIPTS = ("unpack", "page", "study", "plots", "answers", "tables", "main")


def render(
    title: str,
    notes: Sequence[str],
    links: Sequence[tuple[str, str]],
    tables: Sequence[Table],
    islands: Mapping[str, str],
    plotly: str,
) -> str:
    """The page as HTML.

    `links`: text and address. `islands`: packed data by element id; `plotly`: the library's text, which may
    run.
    """
    script = own_script()
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_read("page.html.j2")).render(
        title=printable(title),
        notes=[printable(note) for note in notes],
        links=[(printable(text), address) for text, address in links],
        tables=tables,
        islands=islands,
        policy=content_policy(script, plotly),
        style=_read("style.css"),
        script=script,
    )


def own_script() -> str:
    """The page's own scripts, as one."""
    return '"use strict";\n' + "\n".join(_read(f"scripts/{name}.js") for name in _SCRIPTS)


def _read(name: str) -> str:
    return files("cctuning.analysis.report").joinpath(name).read_text(encoding="utf-8")
