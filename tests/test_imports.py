"""Imports run down the list of rooms, in no circle, and no file of the package looks outside of it."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "cctuning"

# Nothing imports what stands above it.
ROOMS = (
    "__main__",
    "completion",
    "preparation",
    "commands",
    "visualization",
    "analysis",
    "evaluation",  # what stands in the folder itself
    "evaluation.comparison",
    "evaluation.results",
    "evaluation.asking",
    "evaluation.benchmarks",
    "evaluation.scoring",
    "evaluation.items",
    "translation",
    "serving",
    "generation",
    "training",
    "export",
    "transform",
    "connection",
    "data",
    "pretrained",
    "reporting",
    "settings",
    "stats",
    "distributed",
    "tools",
)
FILES = sorted(PACKAGE.rglob("*.py"))
# Looks in the checkout for recipes and tasks where the package is not installed.
OUTSIDE = {"tools/package_data.py"}


def module_of(path):
    """The dotted name of a file."""
    name = ".".join(("cctuning", *path.relative_to(PACKAGE).with_suffix("").parts))
    return name.removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def room_of(module):
    """The longest room that the module is in; "" for the package itself."""
    inner = module.partition(".")[2]
    return max((room for room in ROOMS if f"{inner}.".startswith(f"{room}.")), key=len, default="")


def imported(path):
    """The modules of this package that a file imports anywhere, for its types or in a function too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}, line {node.lineno}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES or node.module in MODULES:
                    yield inner if inner in MODULES else node.module


IMPORTS = {module: set(imported(path)) - {module} for module, path in MODULES.items()}


def test_every_module_is_in_a_room():
    assert [module for module in MODULES if not room_of(module)] == ["cctuning"]
    assert {room_of(module) for module in MODULES} == {"", *ROOMS}


def test_every_folder_is_a_package():
    folders = {path.parent for path in FILES}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_imports_run_downward():
    upward = [
        f"{module} imports {target}"
        for module, targets in IMPORTS.items()
        for target in targets
        if "cctuning" not in (module, target) and ROOMS.index(room_of(module)) > ROOMS.index(room_of(target))
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def climbs(tree):
    """How many folders up from its own file each expression on `__file__` goes."""
    for node in ast.walk(tree):
        steps = 0
        while not isinstance(node, ast.Name):
            if isinstance(node, ast.Attribute):
                steps += node.attr == "parent"
                node = node.value
            elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                steps += node.slice.value + 1 if getattr(node.value, "attr", "") == "parents" else 0
                node = node.value
            elif isinstance(node, ast.Call):
                node = (
                    node.func if isinstance(node.func, ast.Attribute) else next(iter(node.args), ast.Name(""))
                )
            else:
                break
        else:
            if node.id == "__file__":
                yield steps


@pytest.mark.parametrize(
    ("code", "steps"),
    [
        ("Path(__file__).with_name('a.tsv')", 0),
        ("Path(__file__).parent / 'a'", 1),
        ("Path(__file__).resolve().parent.parent", 2),
        ("Path(__file__).resolve().parents[2] / 'recipes'", 3),
    ],
)
def test_steps_out_of_a_folder_are_counted(code, steps):
    assert max(climbs(ast.parse(code))) == steps


def test_no_file_reaches_outside_of_the_package():
    reaching = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(
            steps >= len(path.relative_to(PACKAGE.parent).parts)
            for steps in climbs(ast.parse(path.read_text(encoding="utf-8")))
        )
    }
    assert reaching - OUTSIDE == set()
