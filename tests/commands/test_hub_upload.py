"""Uploads to a stand-in for the hub, by the commands that finish something."""

import json
import shutil

import pytest
import torch
import yaml
from huggingface_hub import constants
from transformers import AutoModelForCausalLM

from cctuning.commands.hub_upload import RUN_FILES, files_of, repository_name, upload
from cctuning.commands.schemas import EvaluateRecipe, FitRecipe, TrainRecipe
from cctuning.connection.model import load_model
from tests.hub import serving_hub
from tests.json_lines import write_lines
from tests.scripts import ON_CPU, call, succeed, write_base, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*few for a matrix")]

RUN = {**ON_CPU, "max_steps": 2, "save_strategy": "steps", "save_steps": 1, "on_bad_row": "skip"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = write_base(tmp_path_factory.mktemp("models") / "base")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Base\n")
    return folder


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """The folder of a finished run, with a rejected row, not to be changed."""
    place = tmp_path_factory.mktemp("outputs")
    data = write_rows(place / "rows.jsonl", 40, extra='{"instruction": "no answer"}')
    ended = train(base, data, place / "mine")
    assert ended.status == 0, ended.err
    return place / "mine"


@pytest.fixture
def hub(monkeypatch):
    """A hub where this process is jane, and large files do not go past HTTP."""
    with serving_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_jane")
        yield hub


def train(base, data, output_dir, **changes):
    settings = {"model_name_or_path": base, "data": data, "output_dir": output_dir, **RUN, **changes}
    return call("train", *(f"{key}={value}" for key, value in settings.items()))


def again(trained, base, folder, **changes):
    """The command of `trained`, on a copy of it."""
    shutil.copytree(trained, folder)
    return train(base, trained.parent / "rows.jsonl", folder, push_to_hub="true", **changes)


def downloaded(repository, folder):
    """What somebody gets who downloads the repository."""
    for name, content in repository.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def matter_of(repository):
    return yaml.safe_load(repository.files["README.md"].decode().split("---\n")[1])


def test_a_run_an_export_and_results_go_up_and_what_comes_down_is_connected(hub, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "mine"
    data = write_rows(tmp_path / "rows.jsonl", 40, extra='{"instruction": "no answer"}')
    ended = train(base, data, run, push_to_hub="true", hub_private_repo="true")
    assert ended.status == 0, ended.err
    assert f"Uploaded to {hub.url}/jane/mine/commit/" in ended.out
    mine = hub.repositories["jane/mine"]
    assert mine.private and len(mine.commits) == 1
    here = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {name.partition("/")[0] for name in here - set(mine.files)} == {"checkpoint-2", "rejects.jsonl"}
    assert matter_of(mine)["license"] == "apache-2.0"

    for _ in range(2):
        hub.repositories.pop("jane/mine-monolingual", None)
        ended = succeed("fit", f"model={run}", "pairs=20", "folds=2", "use_cpu=true", "push_to_hub=true")
    assert "pairs to fit on" not in ended.out  # the second one has only uploaded
    exported = hub.repositories["jane/mine-monolingual"]
    assert {"modeling_cctuning.py", "transform_report.json"} <= exported.files.keys()

    question = {"id": 1, "language": "sw", "prompt": "Swali?", "prompt_en": "Question?", "answer": ["x"]}
    write_lines(tmp_path / "data/benchmarks/MKQA/sw.jsonl", [question])
    asked = ["benchmarks=mkqa", "use_cpu=true", "max_new_tokens=2", "push_to_hub=true"]
    for inference in ("monolingual", "none"):
        succeed("evaluate", f"model={run / 'monolingual'}", f"inference={inference}", *asked)
    results = {name for name in exported.files if name.startswith("evaluation/")}
    assert {f"evaluation/evaluation-{mode}/results.json" for mode in ("monolingual", "none")} <= results
    assert not any("samples" in name for name in results)
    [index] = matter_of(exported)["model-index"]
    scored = json.loads(exported.files["evaluation/evaluation-none/results.json"])["results"]["mkqa_sw"]
    entries = {
        (result["dataset"].get("config"), metric["name"]): metric["value"]
        for result in index["results"]
        for metric in result["metrics"]
    }
    assert index["name"] == "mine-monolingual"
    assert entries[("sw", "f1 (strict), none")] == scored["f1,strict"]
    assert (None, "accuracy (paper), monolingual") in entries

    for name, here in (("jane/mine", run), ("jane/mine-monolingual", run / "monolingual")):
        folder = downloaded(hub.repositories[name], tmp_path / "down" / name)
        assert type(AutoModelForCausalLM.from_pretrained(folder)).__name__ == "LlamaForCausalLM"
        expected, model = load_model(here).state_dict(), load_model(folder)
        assert type(model).__name__ == "CCTuningLlamaForCausalLM"
        assert expected.keys() == model.state_dict().keys()
        assert all(torch.equal(expected[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("refused", ["PUT /storage", "POST .*commit/main"])
def test_an_upload_that_was_cut_off_is_ended_by_the_same_command(hub, trained, base, tmp_path, refused):
    hub.refuses.append((refused, 400))
    ended = again(trained, base, tmp_path / "mine")
    assert ended.status == 1 and "is finished, and the same command uploads what is missing" in ended.err
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert load_model(tmp_path / "mine") is not None
    assert hub.repositories["jane/mine"].files == {}  # nobody finds a half
    kept, hub.asked[:] = dict(hub.storage), []

    ended = train(base, trained.parent / "rows.jsonl", tmp_path / "mine", push_to_hub="true")
    assert ended.status == 0 and "Uploaded to" in ended.out, ended.err
    assert "model.safetensors" in hub.repositories["jane/mine"].files
    sent = [line for line in hub.asked if line.startswith("PUT")]
    assert len(sent) == len(hub.storage) - len(kept)  # what had arrived is not sent again


def test_what_is_there_already_is_not_committed_again(hub, trained, base, tmp_path):
    assert again(trained, base, tmp_path / "mine").status == 0
    assert train(base, trained.parent / "rows.jsonl", tmp_path / "mine", push_to_hub="true").status == 0
    assert len(hub.repositories["jane/mine"].commits) == 1


def test_a_finished_run_with_other_settings_is_not_uploaded_as_this_one(hub, trained, base, tmp_path):
    ended = again(trained, base, tmp_path / "mine", learning_rate="3e-3")
    assert ended.status == 1 and "learning_rate: 1e-05 -> 0.003" in ended.err
    assert hub.repositories == {}


def test_files_of_another_model_there_go_and_other_files_stay(hub, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    hub.answer("POST", "/api/repos/create", "hf_jane", b'{"name": "mine"}')
    repository = hub.repositories["jane/mine"]
    theirs = ["connection/connection.json", "model-00001-of-00002.safetensors", "tokenizer.json"]
    repository.files |= dict.fromkeys([*theirs, "LICENSE", "evaluation/a/config.json"], b"x")
    upload("jane/mine", files_of(tmp_path, ["*.json"]), message="m", what="mine")
    assert repository.files.keys() == {"config.json", "LICENSE", "evaluation/a/config.json"}


def test_an_adapter_goes_with_what_its_base_was_in_four_bits(tmp_path):
    names = {"adapter_config.json", "adapter_model.safetensors", "quantization_config.json"}
    for name in (*names, "optimizer.pt"):
        (tmp_path / name).write_text("{}")
    assert files_of(tmp_path, RUN_FILES).keys() == names


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [
        ({}, {"HF_TOKEN": ""}, "no token"),
        ({}, {"HF_TOKEN": "hf_other"}, "token is not valid"),
        ({}, {"HF_TOKEN": "hf_reader"}, "the token only reads"),
        ({"hub_model_id": "google/mine"}, {}, "the repository is another's"),
        ({"hub_model_id": "a/b/c"}, {}, "a/b/c"),
        ({"hub_private_repo": "true"}, {}, "there already, and public"),
    ],
)
def test_what_the_hub_would_refuse_is_said_before_the_training(
    hub, base, tmp_path, monkeypatch, settings, environment, said
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    hub.answer("POST", "/api/repos/create", "hf_jane", b'{"name": "mine"}')
    ended = train(
        base, write_rows(tmp_path / "rows.jsonl"), tmp_path / "mine", push_to_hub="true", **settings
    )
    assert ended.status == 1 and ended.err.count("\n") == 1
    assert ended.err.startswith("error: push_to_hub=true, ") and said in ended.err
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [("ENDPOINT", "http://127.0.0.1:9", "not reached"), ("HF_HUB_OFFLINE", True, "HF_HUB_OFFLINE is set")],
)
def test_a_hub_out_of_reach_is_said_too(hub, trained, base, tmp_path, monkeypatch, attribute, value, said):
    monkeypatch.setattr(constants, attribute, value)
    ended = again(trained, base, tmp_path / "mine")
    assert ended.status == 1 and said in ended.err and ended.err.count("\n") == 1
    assert load_model(tmp_path / "mine") is not None


def test_a_card_that_the_hub_does_not_take_is_named_with_the_reason(hub, trained, base, tmp_path):
    shutil.copytree(trained, tmp_path / "mine")
    (tmp_path / "mine/README.md").write_text("---\nlanguage: swahili\n---\n")
    ended = train(base, trained.parent / "rows.jsonl", tmp_path / "mine", push_to_hub="true")
    assert ended.status == 1 and '"language" with value "swahili" is not valid' in ended.err


def test_results_of_a_model_without_a_card_are_refused(hub):
    ended = call("evaluate", "model=org/name", "benchmarks=mkqa", "use_cpu=true", "push_to_hub=true")
    assert ended.status == 1 and "model=org/name is no folder with a README.md" in ended.err
    assert hub.asked == []


@pytest.mark.parametrize("recipe", [TrainRecipe("m", ["d"]), FitRecipe(), EvaluateRecipe("m", ["xnli"])])
def test_a_repository_that_nothing_is_pushed_to_is_an_error(recipe):
    for key, value in {"hub_model_id": "a/b", "hub_private_repo": False}.items():
        with pytest.raises(ValueError, match=f"{key}={value} is about push_to_hub"):
            type(recipe)(**{**vars(recipe), key: value})


def test_a_repository_has_the_name_of_the_run(tmp_path):
    assert repository_name(tmp_path / "mine") == "mine"
    assert repository_name(tmp_path / "mine" / "monolingual") == "mine-monolingual"
