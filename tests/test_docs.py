"""The README and the pages are true: commands, keys, recipes, code and imports are those of the repository.

Links and anchors are checked where the site is built (`test_site.py`).
"""

import ast
import importlib
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from cctuning.commands.registry import COMMANDS
from cctuning.preparation.scripts import SCRIPTS
from cctuning.settings.aliases import NOT_HERE, ours_of
from cctuning.settings.keys import keys_of
from cctuning.settings.recipe_files import recipe_files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path: path.read_text("utf-8") for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
PEERS = yaml.safe_load((ROOT / "docs/peers.yaml").read_text("utf-8"))
KEYS = {name: keys_of(command.schema) for name, command in COMMANDS.items()}
BLOCK = r"^ *```{language}\n(.*?)^ *```"


def blocks(language, text):
    return re.findall(BLOCK.format(language=language), text, re.MULTILINE | re.DOTALL)


def commands():
    """Every command of every page; in a block of a terminal, those behind a prompt."""
    for text in (text.replace("\\\n", " ") for text in PAGES.values()):
        for block in blocks("bash", text):
            yield from (line.partition(" #")[0].strip() for line in block.splitlines())
        for block in blocks("console", text):
            yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))


def ours():
    """The name of one of our commands and its arguments, as they are typed."""
    for line in commands():
        if match := re.search(r"(?:^|-m )cctuning (.*)", line):
            yield tuple(shlex.split(match[1].rstrip("'"), posix=False))


@pytest.mark.parametrize(
    ("command", "feature", "name"),
    [
        (command, feature, name)
        for command in ("train", "evaluate")
        for features in PEERS[command].values()
        for feature, names in features.items()
        for name in " ".join(names.values()).split()
    ],
)
def test_what_another_program_calls_a_feature_has_an_answer(command, feature, name):
    """It is what the error about an unknown key says."""
    assert ours_of(name, KEYS[command]) or name in NOT_HERE, feature


def test_python_names_in_the_table_of_other_programs_can_be_imported():
    names = re.findall(r"`(cctuning\.[\w.]+)`", " ".join(row["here"] for row in PEERS["probe"].values()))
    assert len(names) >= 3
    for module, _, name in (name.rpartition(".") for name in names):
        assert hasattr(importlib.import_module(module), name), name


def test_the_readme_can_be_read_in_ten_minutes():
    assert len(PAGES[ROOT / "README.md"].splitlines()) <= 250


@pytest.mark.parametrize("command", sorted(set(ours())), ids=" ".join)
def test_a_command_of_ours_has_recipes_and_keys_that_exist(command):
    name, *arguments = command
    if name == "prepare":
        assert arguments[0] in SCRIPTS
    elif name in COMMANDS:
        given = dict(argument.split("=", 1) for argument in arguments if re.match(r"[\w.]+=", argument))
        recipe = given.pop("recipe", None)
        files = recipe_files(COMMANDS[name].schema, COMMANDS[name].recipes)
        assert recipe is None or recipe in files or "/" in recipe
        assert set(given) <= set(KEYS[name])
    else:
        assert name in ("recipes", "--help")


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_names_what_exists(command):
    for module in re.findall(r"-m ([\w.]+)", command):
        path = ROOT / module.replace(".", "/")
        file = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        assert file or module in ("venv", "pytest")
    for script in re.findall(r"(?:python|launch) (\w\S*\.py)\b", command):
        assert (ROOT / script).is_file()
    for target in re.findall(r"^make (\w+)", command):
        assert target in TARGETS
    for names in re.findall(r"\.\[([\w,-]+)\]", command):
        assert set(names.split(",")) <= set(EXTRAS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_keys_in_the_text_exist(page):
    prose = re.sub(BLOCK.format(language=".*?"), "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    known = {"recipe", "key"}.union(*KEYS.values())
    used = {
        *re.findall(r"`([a-z_.]+)=", prose),
        *re.findall(r"`((?:connection|lora|columns)\.(?!json|safetensors)[a-z_]+)`", prose),
    }
    others = ("template_arguments.", "engine_arguments.")  # a template's own, and an engine's
    used = {key for key in used if not key.startswith(others)}
    assert used <= known | {"add_generation_prompt", "model_impl", "runner"}  # other programs' own


def test_files_that_are_named_exist():
    folders = "cctuning|tests|docs|recipes|benchmarks|demo|examples"
    named = {path for text in PAGES.values() for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", text)}
    for path in ROOT.glob("cctuning/**/*.py"):
        named.update(re.findall(r"[`\s](cctuning/[\w./-]+\w)", path.read_text("utf-8")))
    own = {"recipes/mine_aya.yaml"}  # what a reader is told to write
    assert [path for path in sorted(named - own) if not (ROOT / path).exists()] == []


def python_code():
    for path, text in PAGES.items():
        for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            yield pytest.param(block, id=path.name)
    for path in ROOT.glob("docs/notebooks/*.ipynb"):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        yield pytest.param(code, id=path.name)


@pytest.mark.parametrize("block", list(python_code()))
def test_python_compiles_and_its_imports_resolve(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and node.module != "vllm":  # which has its own environment
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
