"""The wheel: what lies in it, and that it works by itself, in an empty folder away from the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from cctuning import __version__
from cctuning.commands.registry import COMMANDS
from cctuning.preparation.scripts import SCRIPTS
from tests.json_lines import write_lines
from tests.scripts import ON_CPU, write_base, write_rows

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
# An editable installation makes its checkout importable: whatever holds one leaves the path.
WITHOUT_CHECKOUT = """
import os, sys

sys.path = [path for path in sys.path if not os.path.isdir(os.path.join(path, "data_prep"))]
"""
# One process for several commands: each would import torch anew.
CALLS = """
import contextlib, io, json, os, sys
import cctuning
from cctuning.__main__ import main

for arguments in json.loads(sys.argv[1]):
    said, status = io.StringIO(), 0
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(None, arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    print(json.dumps([status, said.getvalue(), os.path.dirname(cctuning.__file__)]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds nothing but what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([*PIP, "install", "--quiet", "--no-deps", "--target", folder, wheel], check=True)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder to work in."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def run(installed, folder, tmp_path_factory):
    """Runs a command in `folder` with the installed package; returns what it printed."""
    guard = tmp_path_factory.mktemp("guard")
    (guard / "sitecustomize.py").write_text(WITHOUT_CHECKOUT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (guard, installed)))}

    def run(*command):
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def cctuning(run, installed, *calls):
    """What each call of `cctuning` printed; all have to end with status 0, in one process."""
    lines = run(sys.executable, "-c", CALLS, json.dumps([[str(word) for word in call] for call in calls]))
    answers = [json.loads(line) for line in lines.splitlines()]
    assert len(answers) == len(calls)
    for call, (status, said, home) in zip(calls, answers, strict=True):
        assert status == 0, f"{call}: {said}"
        assert Path(home) == installed / "cctuning"
    return [said for _, said, _ in answers]


def files(folder):
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_it_holds_the_package_with_the_recipes_and_nothing_beside(wheel):
    held = {PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()}
    assert {path.parts[0] for path in held} == {"cctuning", f"cctuning-{__version__}.dist-info"}
    package = {PurePosixPath(path.relative_to(ROOT)) for path in files(ROOT / "cctuning")}
    recipes = {"cctuning" / PurePosixPath(path.relative_to(ROOT)) for path in files(ROOT / "recipes")}
    assert {path for path in held if path.parts[0] == "cctuning"} == package | recipes
    assert {f"cctuning/{name}" for name in ("py.typed", "recipes/tiny.yaml")} <= set(map(str, held))


def test_its_page_is_short_and_its_version_that_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"cctuning-{__version__}.dist-info/METADATA").decode()
    headers, _, page = metadata.partition("\n\n")
    assert f"\nVersion: {__version__}\n" in headers
    assert "\nProject-URL: " in headers
    assert 0 < len(page.splitlines()) < 60
    assert "](docs/" not in page  # a relative link leads nowhere on PyPI


def test_the_checkout_is_out_of_reach(run):
    code = "import importlib.util as u; print([u.find_spec(name) for name in ('data_prep', 'demo')])"
    assert run(sys.executable, "-c", code).strip() == "[None, None]"


def test_every_command_helps(run, installed):
    calls = [[name, "--help"] for name in COMMANDS]
    calls += [["prepare", name, "--help"] for name in SCRIPTS]
    said = cctuning(run, installed, *calls, ["recipes"], ["recipes", "llama31_aya"], ["--version"])
    assert all("cctuning" in text for text in said[:-2])
    assert "meta-llama/Llama-3.1-8B" in said[-2]
    assert said[-1].split() == ["cctuning", __version__]
    assert run(installed / "bin" / "cctuning", "--help").startswith("usage: cctuning")


def test_from_training_to_a_comparison(run, installed, folder):
    write_base(folder / "base")
    rows = write_rows(folder / "rows.jsonl", 100)
    for language in ("sw", "en"):
        items = [
            {"id": n, "language": language, "prompt": f"Swali {n}?", "prompt_en": f"Question {n}?"}
            | {"answer": ["2"], "options": {"1": "yes", "2": "no", "3": "maybe"}}
            for n in range(3)
        ]
        write_lines(folder / f"data/benchmarks/XNLI/{language}.jsonl", items)
    training = [f"{key}={value}" for key, value in ON_CPU.items()]
    training += ["max_steps=2", "save_strategy=no", "model_name_or_path=base", "data=rows.jsonl"]
    asked = ["recipe=xnli", "languages=[sw,en]", "use_cpu=true", "max_new_tokens=3"]
    said = cctuning(
        run,
        installed,
        ["prepare", "check", rows],
        ["train", *training, "output_dir=out"],
        ["fit", "model=out", "use_cpu=true"],
        ["evaluate", *asked, "model=out", "inference=none", "output_dir=plain"],
        ["evaluate", *asked, "model=out/monolingual", "output_dir=connected"],
        ["compare", "results=[plain,connected]", "output_dir=compared"],
        ["prepare", "lm_eval_tasks"],
    )
    assert "100" in said[0]
    assert "real_accelerator" not in said[1]  # DeepSpeed is installed, but not used
    assert {"connection", "recipe.yaml"} <= {path.name for path in (folder / "out").iterdir()}
    assert (folder / "out/monolingual/modeling_cctuning.py").is_file()
    assert len(list(folder.glob("*/samples_xnli_sw.jsonl"))) == 2
    assert json.loads((folder / "compared/comparison.json").read_text(encoding="utf-8"))
    assert (folder / "outputs/lm_eval_tasks/xnli_sw.yaml").is_file()
