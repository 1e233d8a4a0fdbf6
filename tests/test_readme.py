"""The README is true: its map, commands, code, links and anchors are checked against the repository."""

import ast
import importlib
import re
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest

from cctuning.commands.schemas import (
    ChatRecipe,
    CompareRecipe,
    EvaluateRecipe,
    FitRecipe,
    ProbeRecipe,
    StudyRecipe,
    TrainRecipe,
    VisualizeRecipe,
)
from cctuning.settings.keys import keys_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
}
SCHEMAS = {
    "train.py": TrainRecipe,
    "fit_transform.py": FitRecipe,
    "evaluate.py": EvaluateRecipe,
    "compare.py": CompareRecipe,
    "chat.py": ChatRecipe,
    "study.py": StudyRecipe,
    "probe.py": ProbeRecipe,
    "visualize.py": VisualizeRecipe,
}
RECIPES = {
    "evaluate.py": ROOT / "recipes" / "evaluation",
    "compare.py": ROOT / "recipes" / "comparison",
    "study.py": ROOT / "recipes" / "studies",
    "probe.py": ROOT / "recipes" / "probing",
    "visualize.py": ROOT / "recipes" / "visualize",
}
CACHES = {".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "__pycache__"}
RESULTS = {"outputs", "data"}


def code_blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = "\n".join(block for page in PAGES.values() for block in code_blocks("bash", page)).splitlines()
    return [command for line in lines if (command := line.partition(" #")[0].strip())]


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def repository_files() -> set[str]:
    """Paths of the files that git tracks; without git, of all files that runs and tools did not make."""
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    top = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if git.returncode == 0 and Path(top.stdout.strip()) == ROOT:
        return {path for path in git.stdout.split("\0") if path and (ROOT / path).is_file()}
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if not (CACHES & set(path.parts) or path.parts[0] in RESULTS)}


def with_folders(files: set[str]) -> set[str]:
    folders = {parent.as_posix() + "/" for path in files for parent in Path(path).parents}
    return files | folders - {"./"}


def mapped(tree: str) -> dict[str, str]:
    """Path -> its description, from lines `name  description`; two blanks of indentation are one level."""
    entries: dict[str, str] = {}
    folders: list[str] = []
    for line in tree.splitlines():
        match = re.fullmatch(r"( *)(\S+)(?: +(.*))?", line)
        assert match, f"not a line of a map: {line!r}"
        indent, name, description = match.groups(default="")
        folders = folders[: len(indent) // 2]
        path = "".join(folders) + name
        assert path not in entries, f"{path} is in the map twice"
        entries[path] = description
        if name.endswith("/"):
            folders.append(name)
    return entries


MAP = mapped(code_blocks("", section("Map"))[0])


def named(path: str) -> bool:
    """Whether the map has a line for a path; `*.jsonl` is the line of all such files in its folder."""
    return any(path == entry or ("*" in entry and PurePosixPath(path).match(entry)) for entry in MAP)


def test_the_map_names_every_file_and_folder():
    missing = sorted(path for path in with_folders(repository_files()) if not named(path))
    assert not missing, f"add to the map in README.md: {', '.join(missing)}"


def test_the_map_names_nothing_else():
    files = with_folders(repository_files())
    extra = sorted(entry for entry in MAP if not any(PurePosixPath(path).match(entry) for path in files))
    assert not extra, f"in the map of README.md, but not in the repository: {', '.join(extra)}"


def test_each_line_of_the_map_says_what_is_there():
    assert not [path for path, description in MAP.items() if len(description) < 8]


@pytest.mark.parametrize("command", commands())
def test_a_command_names_what_exists(command):
    for script in re.findall(r"(?:python|launch) (\w\S*\.py)\b", command):
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"python -m ([\w.]+)", command):
        path = ROOT / module.replace(".", "/")
        ours = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        assert ours or module in {"venv", "pip", "pytest"}, module
    folder = next((RECIPES[script] for script in RECIPES if script in command), ROOT / "recipes")
    for recipe in re.findall(r"\brecipe=([\w/]+)", command):
        assert (folder / f"{recipe}.yaml").is_file(), recipe
    for target in re.findall(r"^make (\w+)", command):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for names in re.findall(r"\.\[([\w,]+)\]", command):
        assert set(names.split(",")) <= set(extras), names


@pytest.mark.parametrize("command", [command for command in commands() if re.search(r"\w\.py\b", command)])
def test_a_command_sets_keys_that_exist(command):
    script = re.search(r"(\w+\.py)\b", command)[1]
    keys = re.findall(r" ([\w.]+)=", command.replace(" recipe=", " "))
    if script in SCHEMAS:
        assert set(keys) <= set(keys_of(SCHEMAS[script]))


def test_the_recipe_table_names_every_recipe():
    first_cells = re.findall(r"^\| (`.*?) \|", section("Train, fit, chat"), re.MULTILINE)
    patterns = [name.replace("…", "*") for name in re.findall(r"`([\w/…]+)`", "".join(first_cells))]
    folders = [ROOT / "recipes", ROOT / "recipes" / "settings", ROOT / "recipes" / "ablations"]
    files = [path for folder in folders for path in folder.glob("[!_]*.yaml")]
    recipes = [path.relative_to(ROOT / "recipes").with_suffix("").as_posix() for path in files]
    assert [name for name in recipes if not any(fnmatchcase(name, pattern) for pattern in patterns)] == []
    assert {path.stem for path in folders[0].glob("[!_]*.yaml")} <= set(patterns)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_keys_in_the_text_exist(page):
    prose = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    known = {"recipe", "key", *(key for schema in SCHEMAS.values() for key in keys_of(schema))}
    used = {
        *re.findall(r"`([a-z_.]+)=", prose),
        *re.findall(r"`((?:connection|lora|columns)\.(?!json|safetensors)[a-z_]+)`", prose),
    }
    assert used <= known


def test_python_blocks_compile_and_their_imports_resolve():
    for block in code_blocks("python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    titles = re.findall(r"^#+ (.*)", PAGES[page], re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), target
