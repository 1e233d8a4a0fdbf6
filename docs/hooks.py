"""Pages that are made while the site is built: the front page, a page for each command, the notebooks.

The README is the front page. What a command takes is read from its schema, so these pages cannot differ from
`--help`. mkdocs calls `on_files` and `on_page_markdown`.
"""

import contextlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from cctuning.commands.registry import COMMANDS, Command
from cctuning.preparation.scripts import SCRIPTS, load_script
from cctuning.settings.aliases import NOT_HERE, ours_of
from cctuning.settings.keys import Choice, LibraryChoice, Range, RecipeKey, keys_of
from cctuning.settings.recipe_files import recipe_files

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that are made here."""
    for path, text in pages():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Adds the tables of all recipes to the page about recipes, and those of other programs to theirs."""
    tables = {"recipes.md": recipe_tables, "coming_from.md": peer_tables}.get(page.file.src_uri)
    return f"{markdown}\n{tables()}" if tables else markdown


def pages() -> Iterator[tuple[str, str]]:
    """The path of each page that is made, and its Markdown."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    yield "index.md", readme.replace("](docs/", "](").replace(".ipynb)", ".md)")
    yield "commands/index.md", commands_page()
    for command in COMMANDS.values():
        yield f"commands/{command.name}.md", command_page(command)
    yield "commands/prepare.md", prepare_page()
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        yield f"notebooks/{path.stem}.md", notebook_page(json.loads(path.read_text(encoding="utf-8")))


# --- Commands -----------------------------------------------------------------------------------------------


def commands_page() -> str:
    """All commands in one table."""
    lines = [
        "# Commands",
        "",
        "A command is `cctuning NAME`, or `python -m cctuning NAME`. Its settings are `key=value`, in "
        "groups with dots (`lora.r=32`), behind `recipe=NAME` where a [recipe](../recipes.md) holds most of "
        "them. `--help` lists the keys; a misspelt one is an error that names the nearest.",
        "",
        *table(
            ["command", "what it does"],
            [[f"[`{name}`]({name}.md)", command.summary] for name, command in COMMANDS.items()]
            + [
                ["[`prepare`](prepare.md)", "Prepare data: download, translate, clean, check"],
                ["[`recipes`](../recipes.md)", "List the recipes, or show where one's values come from"],
            ],
        ),
        "",
        "From Python each command is a function: [From Python](../python.md).",
    ]
    return "\n".join(lines) + "\n"


def command_page(command: Command) -> str:
    """What a command does, how it is called, and its keys, those of a group in a table of their own."""
    groups: dict[str, dict[str, RecipeKey]] = {}
    for name, key in keys_of(command.schema).items():
        groups.setdefault(name.rpartition(".")[0], {})[name] = key
    lines = [f"# cctuning {command.name}", "", f"{command.summary}.", "", "```bash"]
    lines += [re.sub(r" {2,}\((.*)\)$", r"  # \1", example) for example in command.examples]
    lines += ["```", ""]
    if recipe_files(command.schema, command.recipes):
        lines += [f"Its recipes are listed [here](../recipes.md#cctuning-{command.name}).", ""]
    for group, keys in groups.items():
        lines += [f"## {group or 'Keys'}", ""]
        lines += table(
            ["key", "type", "default", "meaning"],
            [
                [f"`{name}`", code(key.type_name), code(key.default), meaning(key)]
                for name, key in keys.items()
            ],
        )
        lines.append("")
    return "\n".join(lines)


def meaning(key: RecipeKey) -> str:
    """A key's help text, and what it accepts."""
    match key.rule:
        case Choice(values, or_path):
            accepted = ", ".join(map(code, values)) + (", or a path" if or_path else "")
        case LibraryChoice() as rule:
            accepted = ", ".join(map(code, rule.common)) + ", …"
        case Range() as rule:
            accepted = str(rule)
        case None:
            accepted = ""
    return f"{escaped(key.help)}<br>*Accepted:* {accepted}" if accepted else escaped(key.help)


def prepare_page() -> str:
    """The help texts of the scripts that prepare data."""
    lines = [
        "# cctuning prepare",
        "",
        "Prepare data: `cctuning prepare SCRIPT ...`. The guides [Preparing data](../data_prep.md), "
        "[Translation](../translation.md) and [Benchmarks](../benchmarks.md) say when each is used.",
        "",
    ]
    for name, summary in SCRIPTS.items():
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            load_script(name).main(["--help"])
        lines += [f"## {name}", "", f"{summary}.", "", "```text", shown.getvalue().strip(), "```", ""]
    return "\n".join(lines)


def recipe_tables() -> str:
    """The recipes of each command, with the comment that each file begins with."""
    lines = []
    for command in COMMANDS.values():
        if files := recipe_files(command.schema, command.recipes):
            rows = [[f"`{name}`", escaped(file.comment)] for name, file in files.items()]
            lines += [f"## cctuning {command.name}", "", *table(["recipe=", "what it is"], rows), ""]
    return "\n".join(lines)


# --- Other programs -----------------------------------------------------------------------------------------


def peers() -> dict[str, dict[str, Any]]:
    """What other programs call a feature: by command of ours, then by group and feature, or by feature."""
    text = (ROOT / "docs" / "peers.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def peer_tables() -> str:
    """The features of other programs, their names there, and what there is here."""
    lines = []
    for command in ("train", "evaluate"):
        known = keys_of(COMMANDS[command].schema)
        lines += [f"## `cctuning {command}`", ""]
        for group, features in peers()[command].items():
            programs = list(dict.fromkeys(program for names in features.values() for program in names))
            rows = []
            for feature, names in features.items():
                cells = [names_in_parts(names.get(program, "")) for program in programs]
                answers = {here(name, known) for name in " ".join(names.values()).split()}
                rows.append([feature, *cells, "; ".join(sorted(answers))])  # keys first: they begin with a <
            lines += [f"### {group}", "", *table(["", *programs, "here"], rows), ""]
    rows = [
        [feature, theirs(names["TransformerLens"]), names["here"]]
        for feature, names in peers()["probe"].items()
    ]
    lines += ["## `cctuning probe`", "", *table(["", "TransformerLens", "here"], rows)]
    return "\n".join(lines)


def here(name: str, known: Iterable[str]) -> str:
    """What another program's setting is here: a key of `known`, or why there is none."""
    if (ours := ours_of(name, known)) is not None:
        return names_in_parts(ours)
    reason = NOT_HERE[name]
    return reason if reason.startswith("instead") else f"not here, {reason}"


def names_in_parts(names: str) -> str:
    """Names of settings as code that may be broken behind each _ and dot: a page's width has room for few."""
    return ", ".join("<code>" + re.sub(r"([_.])", r"\1<wbr>", name) + "</code>" for name in names.split())


def theirs(name: str) -> str:
    """A name of Python's as code; words as they are."""
    return code(name) if re.fullmatch(r"[a-z_]+", name) else name


# --- Notebooks ----------------------------------------------------------------------------------------------


def notebook_page(notebook: dict[str, Any]) -> str:
    """A notebook as a page: its texts, its code, and the outputs that it was saved with."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            parts.append(shown_output(output))
    return "\n\n".join(parts) + "\n"


def shown_output(output: dict[str, Any]) -> str:
    """One output of a cell: a picture or HTML where there is some, else its text."""
    data = output.get("data", {})
    if "text/html" in data:
        return f"<div>{''.join(data['text/html'])}</div>"
    if "image/png" in data:
        return f'<img alt="output" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">'
    text = "".join(output.get("text") or data["text/plain"])
    return f"```text\n{text.rstrip()}\n```"


# --- Markdown -----------------------------------------------------------------------------------------------


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def code(text: str) -> str:
    """`text` as code; nothing where it is empty."""
    return f"`{text}`" if text else ""


def escaped(text: str) -> str:
    """`text` without signs that Markdown or a table would read."""
    return re.sub(r"([|*_<\[])", r"\\\1", text)
