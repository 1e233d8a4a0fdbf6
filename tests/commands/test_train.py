import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from cctuning.commands import train_model as train
from cctuning.commands.schemas import LoraRecipe, TrainRecipe
from cctuning.connection.model import CCTuningModel, load_model
from cctuning.data.encoding import encode
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import held_out_rows, read_rows
from cctuning.data.templates import TEMPLATES
from cctuning.evaluation.results.folder import read_results
from cctuning.pretrained.kinds import ModelError
from cctuning.settings.recipe import load_recipe
from tests.json_lines import read_lines, write_lines
from tests.processes import start_two
from tests.questions import TOKENIZER, change_weight, save_models
from tests.scripts import ON_CPU, call, succeed, write_base, write_rows
from tests.tiny import SENTENCES, tiny_llama, tiny_rows

pytestmark = pytest.mark.slow

SETTINGS = {**ON_CPU, "learning_rate": "1e-2", "logging_steps": "1", "save_strategy": "no", "max_steps": "4"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("data") / "rows.jsonl")


@pytest.fixture
def arguments(base, data, tmp_path):
    """The arguments of a short run into tmp_path/run, with changes."""

    def with_changes(**changes):
        settings = {"model_name_or_path": base, "data": data, "output_dir": tmp_path / "run", **SETTINGS}
        return [f"{key.replace('__', '.')}={value}" for key, value in (settings | changes).items()]

    return with_changes


@pytest.fixture(scope="module")
def finished(base, data, tmp_path_factory):
    """The folder of a finished CC-Tuning run, not to be changed."""
    folder = tmp_path_factory.mktemp("outputs") / "finished"
    settings = {
        "model_name_or_path": base,
        "data": data,
        "output_dir": folder,
        **SETTINGS,
        "save_strategy": "epoch",
    }
    ended = succeed(train, *(f"{key}={value}" for key, value in settings.items()))
    assert f"Next: cctuning fit model={folder}\n" in ended.out  # not broken into two lines
    return folder


def metrics_of(folder):
    return read_lines(folder / "metrics.jsonl")


# --- A dry run ----------------------------------------------------------------------------------------------


def test_a_dry_run_shows_what_would_happen_and_writes_nothing(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    ended = call(train, *arguments(dry_run="true", cutoff_len=46, on_bad_row="skip"))
    assert (ended.status, ended.err) == (0, "")
    shown = ended.out
    assert re.search(r"cutoff_len\W+46\b", shown) and "weight_decay" not in shown  # what is not the default
    words = " ".join(shown.split())  # however wide the terminal is
    for said in (
        "11 rows (tokens",
        "1 row left out: 1 in instruction",
        "row 10, instruction: the prompt has 46 tokens",
    ):
        assert said in words
    assert shown.count("[⏎]") == 2  # the response start, in both languages
    assert "memory estimate" in shown and "MiB" in shown
    assert (
        "4 steps of 4 rows, 3 per epoch: 2 rows x 2 passes x 1 process a step. Nothing was trained." in shown
    )
    assert list(tmp_path.iterdir()) == []


# --- A finished run -----------------------------------------------------------------------------------------


def test_a_run_leaves_every_file_of_the_contract(finished):
    expected = {
        "model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja",
        "tokenizer_config.json", "connection", "recipe.yaml", "metrics.jsonl",
        "training_loss.png", "chosen_layers.png", "README.md", "training_report.json",
    }  # fmt: skip
    assert expected <= {path.name for path in finished.iterdir()}
    report = json.loads((finished / "training_report.json").read_text())
    assert (report["steps"], report["rows"], report["languages"]) == (4, 12, ["en", "ru", "sw", "th"])


def test_transformers_loads_it_as_the_plain_model_without_a_complaint(finished, base):
    model, info = AutoModelForCausalLM.from_pretrained(finished, output_loading_info=True)
    assert type(model).__module__.startswith("transformers.")
    assert not any(info.values()), info
    assert not torch.equal(model.lm_head.weight, AutoModelForCausalLM.from_pretrained(base).lm_head.weight)
    tokenizer = AutoTokenizer.from_pretrained(finished)
    assert tokenizer.chat_template.endswith(TEMPLATES["plain"]) and tokenizer.padding_side == "left"
    # A list of one where transformers 5.17 saved it.
    assert model.generation_config.eos_token_id in (tokenizer.eos_token_id, [tokenizer.eos_token_id])
    assert "cctuning" not in json.loads((finished / "config.json").read_text())


def test_the_package_loads_it_connected(finished):
    model = CCTuningModel.load(finished)
    weight = load_file(finished / "connection" / "connection.safetensors")["decision_maker.weight"]
    assert torch.equal(model.decision_maker.weight, weight) and weight.shape == (3, 32)
    settings = json.loads((finished / "connection" / "connection.json").read_text())
    assert settings["connection"]["pooling"] == "decision_maker"


def test_the_recipe_reads_back_as_it_was(finished):
    recipe = load_recipe([f"recipe={finished / 'recipe.yaml'}"], TrainRecipe)
    assert (recipe.learning_rate, recipe.total_batch_size, recipe.bf16) == (1e-2, 4, False)
    assert recipe.output_dir == str(finished)
    assert yaml.safe_load((finished / "recipe.yaml").read_text()) == dataclasses.asdict(recipe)


def test_the_metrics_have_a_line_per_step(finished):
    lines = [line for line in metrics_of(finished) if "loss" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["loss"] < lines[0]["loss"]
    languages = {name for line in lines for name in line if name.startswith("loss/")}
    assert languages == {"loss/en", "loss/ru", "loss/sw", "loss/th"}
    for line in lines:
        assert sum(line[f"decision_maker/layer_{layer:02d}"] for layer in range(3)) == pytest.approx(1)
        assert {"epoch", "learning_rate", "decision_maker/entropy"} <= line.keys()


def test_the_card_names_base_model_rows_and_settings(finished, base):
    card = (finished / "README.md").read_text()
    assert f"Base model: {base.name}. Data: rows.jsonl. 12 rows in 4 languages (en, ru, sw, th)" in card
    assert "base_model" not in yaml.safe_load(card.split("---\n")[1])  # which is no name on the hub
    assert "| learning_rate | 0.01 |" in card


# --- Starting, continuing, starting anew --------------------------------------------------------------------


@pytest.mark.parametrize(("connected", "said"), [("true", "that is new"), ("false", "without its")])
def test_a_run_that_starts_from_a_connected_one_says_what_is_not_taken_along(
    finished, arguments, connected, said
):
    changes = {"model_name_or_path": finished, "connection__enabled": connected, "dry_run": "true"}
    ended = succeed(train, *arguments(**changes))
    assert f"model_name_or_path={finished}" in ended.out and said in " ".join(ended.out.split())


def test_a_finished_run_is_not_written_over(finished, arguments):
    before = (finished / "model.safetensors").read_bytes()
    ended = call(train, *arguments(output_dir=finished, save_strategy="epoch"))
    assert ended.status == 1
    assert ended.err == (
        f"error: {finished} holds a finished run (4 steps): choose another output_dir, or start anew in it "
        "with resume=never, which deletes it\n"
    )
    assert (finished / "model.safetensors").read_bytes() == before


def test_an_unfinished_run_with_another_recipe_is_refused_with_the_difference(finished, arguments, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    (folder / "training_report.json").unlink()
    for changes, said in (
        ({"learning_rate": "2e-2", "lora__r": 4}, "learning_rate: 0.01 -> 0.02\n  lora.r: 16 -> 4\nChoose"),
        ({"gradient_accumulation_steps": 1}, "rows_of_a_step: 4 -> 2\n"),
    ):
        ended = call(train, *arguments(output_dir=folder, save_strategy="epoch", **changes))
        assert ended.status == 1 and f"\n  {said}" in ended.err
    assert (folder / "checkpoint-4").is_dir()


def test_an_unfinished_run_of_another_base_model_is_refused_with_what_differs(arguments, tmp_path, base):
    own = shutil.copytree(base, tmp_path / "base")
    same = {"model_name_or_path": own, "save_strategy": "steps", "save_steps": 2, "lora__enabled": "true"}
    assert call(train, *arguments(**same)).status == 0
    (tmp_path / "run/training_report.json").unlink()
    change_weight(own)
    ended = call(train, *arguments(**same))
    assert ended.status == 1
    assert "base_model.weights: " in ended.err and "resume=never" in ended.err
    assert (tmp_path / "run/checkpoint-4").is_dir()
    with pytest.raises(ModelError, match="another model than it was trained on"):
        load_model(tmp_path / "run")


def test_a_run_goes_on_with_other_batches_of_the_same_step(arguments, tmp_path):
    """To rounding it ends as one that nobody stopped: the mean of layers draws no noise."""
    same = {"save_strategy": "steps", "save_steps": 2, "save_total_limit": 9, "connection__pooling": "mean"}
    assert call(train, *arguments(**same)).status == 0
    first = load_file(tmp_path / "run/model.safetensors")
    for size, more in ((1, {}), (4, {"gradient_accumulation_steps": 1, "total_batch_size": 9})):
        folder = shutil.copytree(tmp_path / "run", tmp_path / f"by-{size}")
        (folder / "training_report.json").unlink()
        shutil.rmtree(folder / "checkpoint-4")
        more |= {"per_device_train_batch_size": size, "output_dir": folder}
        ended = succeed(train, *arguments(**same, **more))
        assert f"per_device_train_batch_size: 2 -> {size}" in ended.out
        assert "the rest may differ" in ended.out and "Continuing from" in ended.out
        second = load_file(folder / "model.safetensors")
        for name, weight in first.items():
            torch.testing.assert_close(second[name], weight, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("changes", [{"connection__pooling": "layer", "connection__layer": 7}, {"use": "x"}])
def test_a_call_that_cannot_begin_destroys_nothing(finished, arguments, tmp_path, changes):
    folder = shutil.copytree(finished, tmp_path / "copy")
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert call(train, *arguments(output_dir=folder, resume="never", **changes)).status in (1, 2)
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == before


def test_a_run_that_was_stopped_at_its_end_is_no_model_yet(arguments, tmp_path, monkeypatch):
    def stopped(*given, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train, "plot_loss", stopped)  # behind the weights
        assert call(train, *arguments()).status == 130
    assert (tmp_path / "run/model.safetensors").is_file()
    for command in (
        ("fit", f"model={tmp_path / 'run'}"),
        ("chat", f"model={tmp_path / 'run'}", "question=x"),
        ("train", *arguments(model_name_or_path=tmp_path / "run", output_dir=tmp_path / "next")),
    ):
        ended = call(*command)
        assert ended.status == 1 and "training_report.json is missing" in ended.err, ended.err
    assert call(train, *arguments(resume="never")).status == 0
    load_model(tmp_path / "run")


def test_starting_anew_as_plain_fine_tuning_leaves_nothing_of_the_connection(finished, arguments, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    ended = succeed(train, *arguments(output_dir=folder, resume="never", connection__enabled="false"))
    assert "fit_transform" not in ended.out
    left = {path.name for path in folder.iterdir()}
    assert not {"connection", "chosen_layers.png", "checkpoint-4"} & left
    assert {"model.safetensors", "training_loss.png", "training_report.json"} <= left
    assert type(load_model(folder)).__name__ == "LlamaForCausalLM"
    assert "ML-SFT" in (folder / "README.md").read_text()
    assert not any(name.startswith("decision_maker") for line in metrics_of(folder) for name in line)


def write_conversations(folder):
    """Four conversations of two responses as a ShareGPT file, and their English sides as another file."""
    rows, english = [], []
    for number, row in enumerate(tiny_rows(4), start=1):
        said, parallel = ((row.instruction, row.output), (row.instruction_en, "So."))
        turns, turns_en = ([*texts, f"{number}?", "Ja."] for texts in (said, parallel))
        for file, texts, role in (
            (rows, turns, ("human", "gpt")),
            (english, turns_en, ("user", "assistant")),
        ):
            messages = [{"from": role[i % 2], "value": text} for i, text in enumerate(texts)]
            file.append({"id": number, "conversations": messages})
    for name, content in (("sharegpt.json", rows), ("english.json", english)):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return {"data": folder / "sharegpt.json", "english": folder / "english.json", "language": "de"}


def test_a_sharegpt_file_with_its_english_side_beside_it_is_trained_and_fitted(arguments, tmp_path):
    given = write_conversations(tmp_path) | {"connection__turns": "all", "lora__enabled": "true"}
    shown = call(train, *arguments(**given, dry_run="true"))
    assert (shown.status, shown.err) == (0, "") and "8 rows (tokens" in " ".join(shown.out.split())
    succeed(train, *arguments(**given))
    succeed("fit", f"model={tmp_path / 'run'}", "use_cpu=true", "pairs=6", "folds=2")
    report = json.loads((tmp_path / "run" / "monolingual" / "transform_report.json").read_text())
    assert report["pairs"] + report["held_out_pairs"] == 7  # of 8 turns in 4 conversations


def test_loss_on_all_responses_is_the_same_in_one_row_and_in_one_row_each(arguments, tmp_path):
    given = write_conversations(tmp_path) | {"connection__enabled": "false", "max_steps": "1"}
    ways = {
        "whole": {"mask_history": "false", "total_batch_size": "4"},
        "turns": {"connection__turns": "all", "total_batch_size": "8"},
        "last": {"total_batch_size": "4"},
    }
    lines = {}
    for name, way in ways.items():
        succeed(train, *arguments(**given, **way, output_dir=tmp_path / name))
        [lines[name]] = metrics_of(tmp_path / name)
    assert lines["whole"]["tokens/de"] == lines["turns"]["tokens/de"] > lines["last"]["tokens/de"]
    for value in ("loss", "grad_norm"):
        assert lines["whole"][value] == pytest.approx(lines["turns"][value], rel=1e-5)
        assert lines["whole"][value] != pytest.approx(lines["last"][value], rel=1e-3)
    ended = call(train, *arguments(**given, mask_history="false", connection__turns="all"))
    assert ended.status == 2 and "mask_history" in ended.err


def test_plain_fine_tuning_needs_no_english_side_and_trains_as_with_one(arguments, data, tmp_path):
    rows = read_lines(data)
    without = tmp_path / "without.jsonl"
    without.write_text("".join(json.dumps({**row, "instruction_en": None}) + "\n" for row in rows))
    folders = {"with": data, "without": without}
    for name, source in folders.items():
        shown = call(train, *arguments(connection__enabled="false", data=source, dry_run="true"))
        assert (shown.status, shown.err) == (0, "")
        assert ("English:" in shown.out) == (name == "with")
        succeed(train, *arguments(connection__enabled="false", data=source, output_dir=tmp_path / name))
    weights = [load_file(tmp_path / name / "model.safetensors") for name in folders]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    ended = call(train, *arguments(data=without, output_dir=tmp_path / "connected"))
    assert ended.status == 1 and "row 2, instruction_en: is null" in ended.err


def test_parallel_texts_without_a_response_are_aligned_and_fitted(arguments, data, tmp_path):
    rows = read_lines(data)
    texts = tmp_path / "parallel.tsv"
    lines = [["id", "language", "instruction", "instruction_en"]]
    lines += [[f"p{row['id']}", *(row[name] for name in lines[0][1:])] for row in rows[:2]]
    texts.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    given = {"data": f"[{data},{texts}]", "connection__centred": "true"}
    ended = call(train, *arguments(**given))
    assert ended.status == 1 and "no column 'output'" in ended.err and "connection.alignment" in ended.err

    given |= {"connection__alignment": "0.5", "eval_share": "0.25", "eval_steps": "2"}
    ended = succeed(train, *arguments(**given))
    assert "Rows without a response, for connection.alignment alone: 1 in ru, 1 in th" in ended.out
    report = json.loads((tmp_path / "run/training_report.json").read_text())
    trained, held_out = held_out_rows(read_rows([str(data), str(texts)], response=False)[0], 0.25, seed=42)
    assert (report["rows"], len(held_out)) == (len(trained), 3) and all(row.output for row in held_out)
    fitted = call("fit", f"model={tmp_path / 'run'}", "use_cpu=true", "dry_run=true", "pairs=4")
    assert fitted.status == 0 and "11 rows" in " ".join(fitted.out.split()), fitted.err

    ended = call(train, *arguments(**given | {"data": texts}))
    assert ended.status == 1 and f"no row of {texts} has a response" in ended.err


@pytest.mark.parametrize("kind", ["", "lora__use_dora", "lora__use_rslora", "load_in_4bit"])
def test_an_adapter_is_merged_into_a_run_with_the_same_fit(kind, arguments, tmp_path):
    if kind == "load_in_4bit":
        pytest.importorskip("bitsandbytes")
    more = {kind: "true"} if kind else {}
    succeed(train, *arguments(lora__enabled="true", **more))
    succeed("prepare", "model", str(tmp_path / "run"), "--output", str(tmp_path / "merged"))
    merged, info = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not any(info.values())
    loaded = load_model(tmp_path / "run").state_dict()
    for name, weight in merged.state_dict().items():
        torch.testing.assert_close(weight, loaded[name], rtol=0, atol=0)
    if kind.startswith("lora"):
        return  # what the fit reads of a run, its weights, has been compared
    for folder in ("run", "merged"):
        succeed("fit", f"model={tmp_path / folder}", "use_cpu=true", "pairs=6", "folds=2")
    exported = [load_file(tmp_path / name / "monolingual/model.safetensors") for name in ("run", "merged")]
    assert exported[0].keys() == exported[1].keys()
    for name, weight in exported[0].items():
        torch.testing.assert_close(weight, exported[1][name], rtol=0, atol=0)


def test_a_model_that_is_plain_already_is_not_made_into_one(base, tmp_path):
    ended = call("prepare", "model", str(base), "--output", str(tmp_path / "again"))
    assert ended.status == 2 and "used as they are" in ended.err


# --- Evaluation while training ------------------------------------------------------------------------------

EVALUATED = {"eval_steps": "1", "save_strategy": "steps", "save_steps": "1", "max_steps": "6"}


def loss_on(model, tokenizer, rows, *, connected):
    """Nats per label token of some rows, by one forward each."""
    nats = tokens = 0
    examples, _ = encode(rows, PromptFormat(tokenizer), cutoff_len=999, english_cutoff_len=999)
    for example in examples:
        ids, start = torch.tensor([example.input_ids]), example.prompt_length
        english = {
            "english_input_ids": torch.tensor([example.english_input_ids]),
            "prompt_lengths": torch.tensor([start]),
        }
        with torch.no_grad():
            logits = model(ids, **(english if connected else {})).logits[0, start - 1 : -1]
        nats += torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="sum").item()
        tokens += len(ids[0, start:])
    return nats / tokens


@pytest.fixture
def contrary(data, tmp_path):
    """Rows of which those held out have other answers, so that their loss rises as the others are learned."""
    held_out = {row.id for row in held_out_rows(read_rows([str(data)])[0], 0.25, seed=42)[1]}
    rows = [row | {"output": ("z" if str(row["id"]) in held_out else "a") * 16} for row in read_lines(data)]
    return write_lines(tmp_path / "contrary.jsonl", rows)


@pytest.mark.parametrize("kind", ["connected", "plain", "lora", "4 bits"])
def test_the_best_checkpoint_is_the_model_and_its_loss_that_of_the_rows_held_out(
    kind, arguments, contrary, tmp_path
):
    settings = {**EVALUATED, "load_best_model_at_end": "true", "eval_share": "0.25", "data": contrary}
    changes = {
        "plain": {"connection__enabled": "false"},
        "lora": {"lora__enabled": "true", "lora__alpha": "300"},
    }
    changes["4 bits"] = changes["lora"] | {"load_in_4bit": "true"}
    if kind == "4 bits":
        pytest.importorskip("bitsandbytes")
    succeed(train, *arguments(**settings | changes.get(kind, {})))
    run = tmp_path / "run"
    report = json.loads((run / "training_report.json").read_text())
    lines = [line for line in metrics_of(run) if "eval_loss" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    best = min(lines, key=lambda line: line["eval_loss"])
    assert best["step"] < 6, lines  # else the test would see nothing
    assert (report["eval_step"], report["eval_loss"]) == (best["step"], best["eval_loss"])
    assert (run / f"checkpoint-{best['step']}" / "complete.json").is_file()  # save_total_limit=1 keeps it
    rows, held_out = held_out_rows(read_rows([str(contrary)])[0], 0.25, seed=42)
    assert {row.output for row in held_out} == {"z" * 16}
    assert (report["rows"], len(held_out)) == (len(rows), 3)
    languages = {name.removeprefix("eval_loss/") for name in best if name.startswith("eval_loss/")}
    assert languages == {row.language for row in held_out}
    found = loss_on(load_model(run), AutoTokenizer.from_pretrained(run), held_out, connected=kind != "plain")
    assert found == pytest.approx(best["eval_loss"], rel=1e-4)
    fitted = call("fit", f"model={run}", "use_cpu=true", "dry_run=true", "pairs=4")
    assert fitted.status == (1 if kind == "plain" else 0)
    if kind != "plain":
        assert "9 rows" in " ".join(fitted.out.split())


def test_early_stopping_ends_the_run_where_the_loss_has_not_fallen(arguments, data, tmp_path):
    changes = {"eval_data": data, "early_stopping_patience": "2", "learning_rate": "8e-2", "max_steps": "12"}
    succeed(train, *arguments(**{**EVALUATED, **changes}))
    losses = [line["eval_loss"] for line in metrics_of(tmp_path / "run") if "eval_loss" in line]
    assert len(losses) < 12 and losses.index(min(losses)) == len(losses) - 3
    report = json.loads((tmp_path / "run" / "training_report.json").read_text())
    assert (report["steps"], report["eval_loss"]) == (len(losses), losses[-1])


def write_questions(golds):
    """Two questions in each of two languages, as `golds` answers them; by default with what none says."""
    for language in ("sw", "ru"):
        prompt, _, english = SENTENCES[language]
        items = [
            {
                **{"id": number, "language": language, "prompt": prompt + "?" * number},
                **{"prompt_en": english + "?" * number, "answer": golds.get((language, number), ["@"])},
            }
            for number in range(2)
        ]
        write_lines(Path(f"data/pilot/MKQA/{language}.jsonl"), items)


def evaluated(model, mode):
    settings = ["benchmarks=[mkqa]", "data=data/pilot", "max_new_tokens=6", "use_cpu=true", "resume=never"]
    succeed("evaluate", *settings, f"model={model}", f"inference={mode}", "output_dir=out")
    return read_results("out")


@pytest.mark.parametrize("lora", [False, True])
def test_scores_meanwhile_are_those_of_an_evaluation_and_move_nothing(arguments, tmp_path, monkeypatch, lora):
    monkeypatch.chdir(tmp_path)
    save_models(tmp_path, loud=tiny_llama(len(TOKENIZER), initializer_range=0.3))
    settings = {
        **{"model_name_or_path": "loud", "eval_share": 0.25, "eval_steps": 2, "save_strategy": "steps"},
        **{"save_steps": 2, "save_total_limit": "null", "lora__enabled": lora, "lora__r": 4},
    }
    succeed(train, *arguments(**settings, output_dir="plain"))
    write_questions({})
    evaluated("plain/checkpoint-2", "bilingual")
    said = {}
    for language in ("sw", "ru"):
        for line in Path(f"out/samples_mkqa_{language}.jsonl").read_text().splitlines():
            sample = json.loads(line)
            said[language, sample["doc_id"]] = sample["resps"][0]
    write_questions({**said, ("ru", 1): ["@"]})  # what the model of step 2 says, but for one question
    scored = {
        **{"eval_benchmarks": "[mkqa]", "eval_inference": "[bilingual,none]", "eval_max_new_tokens": 6},
        **{"metric_for_best_model": "eval_mkqa_bilingual", "load_best_model_at_end": "true"},
    }
    succeed(train, *arguments(**settings, **scored, output_dir="scored"))
    plain, with_scores = (metrics_of(Path(name)) for name in ("plain", "scored"))
    evaluations = [line for line in with_scores if "eval_loss" in line]
    assert evaluations[0]["eval_mkqa_bilingual/sw"] > evaluations[1]["eval_mkqa_bilingual/sw"]
    assert evaluations[0]["eval_mkqa_bilingual/ru"] == 0.5
    for line in evaluations:
        for mode in ("bilingual", "none"):
            results = evaluated(f"scored/checkpoint-{line['step']}", mode)
            for name, key in ("mkqa_sw", "sw"), ("mkqa_ru", "ru"):
                assert line[f"eval_mkqa_{mode}/{key}"] == results["results"][name]["accuracy,paper"]
            assert line[f"eval_mkqa_{mode}"] == results["groups"]["mkqa"]["accuracy,paper"]
    without = [{key: line[key] for key in line if "mkqa" not in key} for line in with_scores]
    assert without == plain
    report = json.loads(Path("scored/training_report.json").read_text())
    assert (report["eval_step"], report["eval_mkqa_bilingual"]) == (2, evaluations[0]["eval_mkqa_bilingual"])
    name = "adapter_model.safetensors" if lora else "model.safetensors"
    best, model = (load_file(folder / name) for folder in (Path("plain/checkpoint-2"), Path("scored")))
    assert all(torch.equal(best[key], weight) for key, weight in model.items())


@pytest.mark.parametrize("stage", [2, 3])
def test_weights_of_four_bits_are_not_shared_out(base, data, launched, stage):
    launched(WORLD_SIZE=2, ACCELERATE_USE_DEEPSPEED="true", ACCELERATE_DEEPSPEED_ZERO_STAGE=stage)
    lora = LoraRecipe(enabled=True)
    recipe = TrainRecipe(str(base), [str(data)], dry_run=True, lora=lora, load_in_4bit=True)
    with pytest.raises(ValueError, match=rf"load_in_4bit.*ZeRO-{stage}.*ddp"):
        train.check(recipe)


def test_without_bitsandbytes_a_run_says_how_to_install_it(arguments, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    for more, status in ({}, 1), ({"dry_run": "true"}, 0):
        ended = call(train, *arguments(load_in_4bit="true", lora__enabled="true", **more))
        assert ended.status == status
        assert 'pip install "cctuning[qlora]"' in " ".join((ended.out + ended.err).split())
    assert not (tmp_path / "run").exists()


# --- Other kinds of runs ------------------------------------------------------------------------------------


def test_lora_leaves_the_adapter_and_the_connection(arguments, tmp_path, base):
    succeed(train, *arguments(lora__enabled="true", lora__r=2))
    folder = tmp_path / "run"
    names = {"adapter_config.json", "adapter_model.safetensors", "connection"}
    assert names <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    merged = CCTuningModel.load(folder)
    own = AutoModelForCausalLM.from_pretrained(base)
    assert not torch.equal(merged.model.layers[0].mlp.up_proj.weight, own.model.layers[0].mlp.up_proj.weight)
    assert torch.equal(merged.lm_head.weight, own.lm_head.weight)
    assert "| lora.r | 2 |" in (folder / "README.md").read_text()


def test_two_processes_on_cpus_share_rows_and_questions(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_models(tmp_path, loud=tiny_llama(len(TOKENIZER), initializer_range=0.3))
    write_questions({("sw", 0): ["\ufffd", "p"], ("ru", 1): ["\ufffd", "c"]})  # nearly any response has one
    scored = {"eval_data": arguments()[1].partition("=")[2], "eval_steps": 3, "eval_benchmarks": "[mkqa]"}
    command = arguments(
        **{"on_bad_row": "skip", "cutoff_len": 46, "max_steps": 3, "model_name_or_path": "loud"},
        **{**scored, "eval_inference": "[bilingual,none]", "eval_max_new_tokens": 6},
    )
    ended = [started.wait() for started in start_two("train.py", *command, folder=tmp_path)]
    assert [process.status for process in ended] == [0, 0], ended[0].err
    assert "".join(process.out for process in ended).count("1 row left out") == 1  # the same one in both sets
    line = metrics_of(tmp_path / "run")[-1]
    assert line["epoch"] == 1.0  # 3 steps of 4 rows, of 11
    scores = {mode: evaluated("run", mode)["results"] for mode in ("bilingual", "none")}
    for mode, results in scores.items():
        for language in ("sw", "ru"):
            assert line[f"eval_mkqa_{mode}/{language}"] == results[f"mkqa_{language}"]["accuracy,paper"]
    assert any(line[f"eval_mkqa_{mode}"] > 0 for mode in scores)


def test_trackers_get_the_metrics(arguments, tmp_path):
    pytest.importorskip("tensorboard")
    succeed(train, *arguments(report_to="[tensorboard]", max_steps=1))
    [events] = (tmp_path / "run").rglob("events.out.tfevents.*")
    assert b"decision_maker/entropy" in events.read_bytes()


# --- Rows ---------------------------------------------------------------------------------------------------


BAD = '{"instruction": "", "instruction_en": "x", "output": "y"}\n{"instruction": broken\n'


def test_bad_rows_stop_the_run_and_are_listed(arguments, tmp_path):
    path = write_rows(tmp_path / "bad.jsonl", 4, BAD)
    ended = call(train, *arguments(data=path))
    assert ended.status == 1
    assert ended.err.startswith("error: 2 bad rows:\n")
    assert f"  {path}, row 5, instruction: is empty\n" in ended.err
    assert f"  {path}, row 6: is broken JSON at column 17" in ended.err
    assert "on_bad_row=skip" in ended.err
    assert not (tmp_path / "run").exists()


def test_skipped_rows_are_listed_in_a_file_with_what_they_held(arguments, tmp_path):
    path = write_rows(tmp_path / "bad.jsonl", 11, BAD)
    ended = succeed(train, *arguments(data=path, on_bad_row="skip", cutoff_len=46, max_steps=1))
    assert "3 rows left out, listed in" in ended.out
    rejects = read_lines(tmp_path / "run" / "rejects.jsonl")
    assert sorted(reject["number"] for reject in rejects) == [10, 12, 13]
    [cut] = [reject for reject in rejects if reject["number"] == 10]
    assert "cutoff_len=46" in cut["reasons"][0] and cut["row"]["output"] == "โตเกียว"
    assert json.loads((tmp_path / "run" / "training_report.json").read_text())["rows"] == 10


@pytest.mark.parametrize("why", ["cut", "bad"])
def test_a_run_with_nothing_left_to_learn_does_not_start(arguments, tmp_path, why):
    path = write_rows(tmp_path / "bad.jsonl", 4 if why == "cut" else 0, "" if why == "cut" else BAD)
    ended = call(train, *arguments(data=path, on_bad_row="skip", cutoff_len=5))
    assert ended.status == 1
    assert ended.err.startswith(f"error: nothing is left to learn in {path}; the first problem: {path}, row ")
    assert not (tmp_path / "run").exists()


# --- What a newcomer gets wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"total_batch_size": 5}, "total_batch_size=5 is not a multiple of the 2 rows of one pass"),
        ({"report_to": "[wandb]"}, "report_to=wandb needs a package that is missing: pip install wandb"),
        ({"model_name_or_path": "{base}x"}, "_or_path={base}x does not exist; did you mean 'base'?"),
        ({"model_name_or_path": "{data}"}, "{data} is a file, and must be a model's folder"),
        ({"model_name_or_path": "org/none"}, "_or_path=org/none: there is no such folder, and as"),
        ({"output_dir": "{base}"}, "{base} is the model to train from and output_dir too"),
        ({"output_dir": "{data}"}, "output_dir={data} cannot be written: File exists"),
        ({"output_dir": "{data}/run"}, "output_dir={data}/run cannot be written: Not a directory"),
        ({"connection__pooling": "layer", "connection__layer": 7}, "layer=7 is not one of the model's 3"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line(arguments, base, data, monkeypatch, changes, said):
    find_spec = train.importlib.util.find_spec
    monkeypatch.setattr(
        train.importlib.util, "find_spec", lambda name: None if name == "wandb" else find_spec(name)
    )
    places = {"base": base, "data": data}
    changes = {
        key: value.format(**places) if isinstance(value, str) else value for key, value in changes.items()
    }
    ended = call(train, *arguments(**changes))
    assert ended.status == 1
    assert ended.err.startswith("error: ") and said.format(**places) in ended.err
    assert ended.out == "" and len(ended.err.splitlines()) <= 2
