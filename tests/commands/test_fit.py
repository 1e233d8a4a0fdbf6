"""The command line of the fit, from a finished run to an exported model."""

import dataclasses
import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors.torch import load_file

from cctuning import export
from cctuning.commands import fit_matrix as script
from cctuning.commands.schemas import FitRecipe, TrainRecipe
from cctuning.connection.model import CCTuningModel, load_model
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.data.encoding import encode
from cctuning.data.prompts import PromptFormat
from cctuning.distributed import engines
from cctuning.distributed.engines import Engine, LaunchError
from cctuning.pretrained.kinds import ModelError
from cctuning.settings.recipe import load_recipe, save_recipe
from cctuning.settings.recipe_files import RECIPES
from cctuning.training.runs import FINISHED_FILE, FIT_REPORT_FILE, RECIPE_FILE
from cctuning.transform.fit import fit_transform
from cctuning.transform.pairs import pairs_of, sample_pairs
from tests.processes import start, start_two
from tests.scripts import call, write_base
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*few for a matrix")]


def write_rows(path, rows):
    fields = ("id", "language", "instruction", "instruction_en", "output")
    lines = [json.dumps({field: getattr(row, field) for field in fields}) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with data and one finished run in it."""
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.jsonl", tiny_rows(100))
    run = tmp_path / "outputs" / "mine"
    tokenizer = tiny_tokenizer()
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)), ConnectionConfig())
    model.save_pretrained(run)
    tokenizer.save_pretrained(run)
    save_recipe(TrainRecipe("base", ["rows.jsonl"], run_name="mine", max_rows=90), run / RECIPE_FILE)
    (run / FINISHED_FILE).write_text('{"steps": 3}')
    return tmp_path


def fit(monkeypatch, *arguments):
    return script.fit_matrix(load_recipe(arguments, FitRecipe, folder=RECIPES / "fit"))


def test_the_newest_run_is_fitted_and_exported(folder, monkeypatch, capsys):
    fit(monkeypatch, "pairs=40", "seed=3", "folds=4")
    assert "model=outputs/mine, the newest finished run" in capsys.readouterr().out
    output_dir = folder / "outputs/mine/monolingual"
    report = json.loads((output_dir / "transform_report.json").read_text())
    assert (report["pairs"], report["cross_validation"]["folds"], report["seed"]) == (40, 4, 3)
    for name in ("learning_curve.png", "error_per_layer.png", "README.md", "modeling_cctuning.py"):
        assert (output_dir / name).is_file()

    model = CCTuningModel.load("outputs/mine")
    prompts = PromptFormat(tiny_tokenizer())
    # max_rows of the run's recipe: not all rows were trained on.
    rows = script.sample_rows(tiny_rows(100), 90, seed=42)
    examples, _ = encode(rows, prompts, cutoff_len=1024, english_cutoff_len=1024)
    sample = sample_pairs(pairs_of(examples), 40, held_out=0.1, seed=3)
    expected = fit_transform(model, sample, pad_token_id=prompts.pad_token_id, folds=4).transform
    exported = load_model(output_dir).transform_matrix.weight
    torch.testing.assert_close(exported.T.double(), expected, atol=1e-3, rtol=1e-3)


def test_the_summary_shows_baselines_and_languages(folder, monkeypatch, capsys):
    fit(monkeypatch, "ridge=0.5", "rank=3")
    matrix = load_file(folder / "outputs/mine/monolingual/model.safetensors")["transform_matrix.weight"]
    assert torch.linalg.matrix_rank(matrix, rtol=1e-4) == 3
    for impossible, why in {
        "layers=chosen": "pooling=decision_maker",
        "rank=1000": "rank=1000 .* 32",
    }.items():
        with pytest.raises(ValueError, match=why):  # before the model is loaded
            fit(monkeypatch, impossible, "dry_run=true")
    shown = capsys.readouterr().out
    for text in (
        "ridge 0.5 (given, rank 3)",
        "F itself",
        "the layer's mean",
        "F · W_T, th",
        "fewer than pairs=1000",
    ):
        assert text in " ".join(shown.split())


def test_a_fit_with_means_is_exported_with_them(folder, monkeypatch, capsys):
    fit(monkeypatch, "ridge=0.5", "mean=true")
    assert "ridge 0.5 (given, means apart)" in " ".join(capsys.readouterr().out.split())
    output_dir = folder / "outputs/mine/monolingual"
    assert json.loads((output_dir / FIT_REPORT_FILE).read_text())["settings"]["mean"] is True
    matrix, saved = load_model(output_dir).transform_matrix, load_file(output_dir / "model.safetensors")
    assert torch.equal(matrix.bias, saved["transform_matrix.bias"]) and matrix.bias.any()
    fit(monkeypatch, "ridge=0.5")
    assert load_model(output_dir).transform_matrix.bias is None
    assert "transform_bias" not in json.loads((output_dir / "config.json").read_text())["cctuning"]


@pytest.mark.parametrize("rank", [None, 3])
def test_a_matrix_for_each_layer_is_exported_and_gives_way_to_one_for_all(folder, monkeypatch, capsys, rank):
    settings = ["ridge=0.5", "mean=true", *([f"rank={rank}"] if rank else [])]
    fit(monkeypatch, *settings, "layers=each")
    assert "3 Transform Matrices" in (shown := " ".join(capsys.readouterr().out.split()))
    assert shown.count("are few for a matrix") <= 1
    output_dir = folder / "outputs/mine/monolingual"
    report = json.loads((output_dir / FIT_REPORT_FILE).read_text())
    assert report["per_layer"]["ridge"] == [0.5] * 3
    assert "of its own for each layer" in (output_dir / "README.md").read_text()
    for dtype in (torch.float32, torch.bfloat16):
        matrix = load_model(output_dir, dtype=dtype).transform_matrix
        assert [*matrix.bias.shape] == [3, 32] and {factor.dtype for factor in matrix.factors} == {dtype}
        shapes = [[3, 32, 32]] if rank is None else [[3, rank, 32], [3, 32, rank]]
        assert [[*factor.shape] for factor in matrix.factors] == shapes
    names = {name for name in load_file(output_dir / "model.safetensors") if "transform" in name}
    fit(monkeypatch, *settings)
    assert load_model(output_dir).transform_matrix.weight.shape == (32, 32)
    assert names & load_file(output_dir / "model.safetensors").keys() <= {
        f"transform_matrix.{name}" for name in ("weight", "bias")
    }


def test_a_layer_alone_has_no_others_to_fit(folder, monkeypatch, capsys):
    CCTuningModel.wrap(tiny_llama(50), ConnectionConfig(pooling="layer", layer=-1)).save_pretrained(
        folder / "outputs/mine"
    )
    with pytest.raises(ValueError, match="layers=chosen"):
        fit(monkeypatch, "layers=each", "dry_run=true")
    said = {}
    for layers in ("all", "chosen"):
        capsys.readouterr()
        fit(monkeypatch, f"layers={layers}", "dry_run=true")
        said[layers] = " ".join("".join(capsys.readouterr()).split())
    assert "warning: the connection takes layer 2 alone" in said["all"] and "layers=chosen" in said["all"]
    assert "takes layer" not in said["chosen"]


def test_other_data_and_another_folder(folder, monkeypatch):
    write_rows(folder / "other.jsonl", [row for row in tiny_rows(60) if row.language == "ru"])
    fit(monkeypatch, "model=outputs/mine", "data=other.jsonl", "output_dir=here", "pairs=8")
    report = json.loads((folder / "here/transform_report.json").read_text())
    assert list(report["languages"]) == ["ru"]
    settings = json.loads((folder / "here/config.json").read_text())["cctuning"]
    wordings = {"ru": "Translate the following sentence from Russian to English.\n {text}"}
    assert settings["into_english"]["wordings"] == wordings
    assert not (folder / "outputs/mine/monolingual").exists()


def test_other_data_may_name_its_columns_otherwise(folder, monkeypatch):
    """What is not renamed keeps the run's name."""
    text = (folder / "rows.jsonl").read_text(encoding="utf-8")
    (folder / "other.jsonl").write_text(text.replace('"instruction":', '"prompt":'), encoding="utf-8")
    fit(monkeypatch, "data=other.jsonl", "columns.instruction=prompt", "pairs=20", "output_dir=here")
    assert json.loads((folder / "here/transform_report.json").read_text())["pairs"] == 20


def test_a_run_with_code_of_its_model_is_fitted_where_that_is_asked_for(folder, monkeypatch):
    path = folder / "outputs/mine" / RECIPE_FILE
    path.write_text(path.read_text().replace("trust_remote_code: false", "trust_remote_code: true"))
    with pytest.raises(ValueError, match="say trust_remote_code=true here too"):
        fit(monkeypatch, "pairs=20")
    fit(monkeypatch, "pairs=20", "trust_remote_code=true")
    assert (folder / "outputs/mine/monolingual/transform_report.json").is_file()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((), "120 rows of 3 layers for a matrix of 32 x 32 (3.8 rows per dimension)"),
        (("layers=each",), "40 rows for each of 3 matrices of 32 x 32 (1.2 rows per dimension)"),
    ],
)
def test_a_dry_run_tells_of_memory_and_rows_that_were_left_out_and_writes_nothing(
    folder, monkeypatch, capsys, settings, said
):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    with (folder / "rows.jsonl").open("a") as file:
        file.write('\n{"id": "bad"}')
    fit(monkeypatch, "dry_run=true", "pairs=40", *settings)
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown
    assert "output_dir" in shown and "outputs/mine/monolingual" in shown
    assert "1 row left out, the first: rows.jsonl, row 101" in shown
    assert "GiB are free" in shown and ("take fewer pairs" in shown) == bool(settings)
    assert not (folder / "outputs/mine/monolingual").exists()


def test_without_a_run_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no finished run under outputs/"):
        fit(monkeypatch)


def test_a_folder_that_is_no_run(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="was not written by"):
        fit(monkeypatch, f"model={tmp_path}")


# --- Stopped, and two at once -------------------------------------------------------------------------------


def killed_behind_the_weights():
    """In a new process: what comes after the export is a kill."""
    script.plot_learning_curve = lambda *given: os.kill(os.getpid(), signal.SIGKILL)


def killed_within_the_weights():
    """In a new process: the weights are there, and the rest of the export is of an earlier one."""
    save_weights = export._save

    def save(*given):
        save_weights(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    export._save = save


def waits_for_a_file():
    """In a new process: the fit says that it has begun, and goes on when it may."""
    fit_transform = script.fit_transform

    def wait(*given, **options):
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return fit_transform(*given, **options)

    script.fit_transform = wait


@pytest.mark.parametrize("killed", [killed_within_the_weights, killed_behind_the_weights])
def test_a_fit_that_was_killed_leaves_no_model(folder, monkeypatch, killed):
    fit(monkeypatch, "pairs=40")
    output = folder / "outputs/mine/monolingual"
    before = (output / "model.safetensors").read_bytes()
    started = start("fit_transform.py", "pairs=20", "model=outputs/mine", folder=folder, before=killed)
    assert started.wait().status == -signal.SIGKILL
    assert (output / "model.safetensors").read_bytes() != before
    assert not (output / FIT_REPORT_FILE).exists()
    settings = ["benchmarks=[xnli]", f"model={output}", "use_cpu=true"]
    for command in (("evaluate", *settings), ("chat", f"model={output}", "question=x"), ("probe", *settings)):
        ended = call(*command)
        assert ended.status == 1 and f"{FIT_REPORT_FILE} is missing" in ended.err, ended.err
    with pytest.raises(ModelError, match=FIT_REPORT_FILE):
        load_model(output)
    fit(monkeypatch, "pairs=20")
    assert load_model(output).transform_matrix.weight.isfinite().all()


@pytest.mark.parametrize(("name", "said"), [("base", "another model"), ("outputs/mine", "the run itself")])
def test_an_export_does_not_overwrite_another_model(folder, monkeypatch, name, said):
    write_base(folder / "base")

    def contents():
        return {path: path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}

    before = contents()
    with pytest.raises(ValueError, match=said):
        fit(monkeypatch, "model=outputs/mine", "pairs=20", f"output_dir={name}")
    assert contents() == before


def test_a_fit_that_fails_leaves_what_was_there(folder, monkeypatch):
    fit(monkeypatch, "pairs=40")
    output = folder / "outputs/mine/monolingual"
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    with pytest.raises(ValueError, match="folds"):
        fit(monkeypatch, "pairs=3", "folds=5")
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_of_two_fits_at_once_the_second_is_refused(folder):
    started = start("fit_transform.py", "pairs=20", folder=folder, before=waits_for_a_file)
    while not Path("begun").exists() and started.process.is_alive():
        time.sleep(0.01)
    ended = call("fit", "pairs=20")
    said = f"another process ({started.process.pid}) works in outputs/mine/monolingual"
    Path("go").touch()
    assert (ended.status, said in ended.err) == (1, True), ended.err
    first = started.wait()
    assert first.status == 0, first.err
    assert (folder / "outputs/mine/monolingual" / FIT_REPORT_FILE).is_file()


# --- Several processes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", ["all", "each"])
def test_two_processes_fit_the_same_matrix(folder, monkeypatch, layers):
    """To the last bit; 3 rows a batch, so that the last round has one batch and the batches unequal sizes."""
    settings = ("model=outputs/mine", "pairs=40", "batch_size=3", "folds=4", f"layers={layers}")
    started = start_two("fit_transform.py", *settings, "output_dir=two", folder=folder)
    first, second = (process.wait() for process in started)
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert (first.out + second.out).count("two holds the exported model") == 1
    fit(monkeypatch, *settings, "output_dir=one")
    names = sorted(path.relative_to("one") for path in Path("one").rglob("*") if path.is_file())
    assert names == sorted(path.relative_to("two") for path in Path("two").rglob("*") if path.is_file())
    for name in names:
        if name.suffix in (".json", ".safetensors"):
            assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name


def test_fewer_processes_than_asked_for_are_refused(folder, monkeypatch):
    monkeypatch.setattr(engines, "current_engine", lambda: Engine("ddp", 2))
    with pytest.raises(
        LaunchError, match="2 processes were asked for, and 1 would run: use accelerate launch"
    ):
        fit(monkeypatch, "model=outputs/mine")


def test_what_one_process_cannot_do_ends_all(folder):
    """The longest prompt, whose batch is the last of the last part, gives outputs that are not finite."""
    model = CCTuningModel.load("outputs/mine")
    rows = tiny_rows(90)
    longest = max(rows, key=lambda row: len(row.instruction))
    marked = dataclasses.replace(longest, instruction=longest.instruction + " Nairobi")
    tokenizer = tiny_tokenizer()
    before, after = (set(tokenizer(row.instruction)["input_ids"]) for row in (longest, marked))
    [token, *_] = sorted(after - before)
    with torch.no_grad():  # finite weights, or the model would not load; this token alone overflows
        model.get_input_embeddings().weight[:, 0] = 0
        model.get_input_embeddings().weight[token, 0] = 1
        model.model.layers[0].input_layernorm.weight[0] = 3e38
    model.save_pretrained("outputs/mine")
    write_rows(folder / "rows.jsonl", [marked if row is longest else row for row in rows])
    started = start_two("fit_transform.py", "model=outputs/mine", "pairs=80", folder=folder)
    first, second = (process.wait() for process in started)
    assert first.status and second.status
    assert f"F is not finite in layer 0 (from 0) for id {longest.id!r}" in first.err + second.err
    assert not (folder / "outputs/mine/monolingual").exists()


def test_the_export_of_a_run_on_the_hub_goes_to_outputs():
    assert script.output_of(FitRecipe(model="org/name"), Path("cache")) == Path(
        "outputs/org--name/monolingual"
    )
