"""lm-evaluation-harness on an exported model: its prompts, responses and scores are our own."""

import json
import os
import re
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from lm_eval import simple_evaluate
from lm_eval.__main__ import cli_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from transformers import AutoModelForCausalLM

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.prompting import prompts_of
from cctuning.evaluation.benchmarks import BENCHMARKS
from cctuning.evaluation.harness import FOLDER_VARIABLE, load_questions, score
from cctuning.evaluation.items.files import read_items
from cctuning.export import export_monolingual
from cctuning.generation.generate import answer
from cctuning.preparation import lm_eval_tasks
from tests.tiny import SENTENCES, tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "lm_eval.md"
ASKED = {"mkqa": "ru", "xquad": "th", "xlsum": "sw", "globalopinionqa": "ru"}
QUESTIONS = 5


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An exported model, loud enough for its connection to change what it writes."""
    folder, tokenizer = tmp_path_factory.mktemp("exported"), tiny_tokenizer()
    torch.manual_seed(0)
    run = CCTuningModel.wrap(tiny_llama(len(tokenizer), initializer_range=0.3), ConnectionConfig())
    export_monolingual(run, tokenizer, torch.randn(32, 32), folder)
    return folder


def answers_of(model, texts):
    return answer(model, PromptFormat(tiny_tokenizer()), texts, max_new_tokens=40, batch_size=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory, exported):
    """Local files of all tasks. What the model answers to the even questions is among their gold answers."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in ASKED:
        benchmark = BENCHMARKS[name]
        (folder / benchmark.title).mkdir()
        for language in benchmark.languages:
            questions = [SENTENCES["ru"][0] + " x" * number for number in range(QUESTIONS)]
            english = [SENTENCES["ru"][2] + " y" * number for number in range(QUESTIONS)]
            said = [""] * QUESTIONS
            if language == ASKED[name]:
                asked = english if benchmark.asked_in_english else questions
                said = [said.text for said in answers_of(load_model(exported), asked)]
            rows = []
            for number in range(QUESTIONS):
                row = {"id": number, "language": language}
                row |= {"prompt": questions[number], "prompt_en": english[number]}
                row |= {"answer": ["Париж", said[number] or "x"][: 2 - number % 2]}
                if benchmark.kind == "choice":
                    labels = "ABCD"[: 2 + number % 3]
                    row |= {"answer": ["A"], "options": {label: f"text {label}" for label in labels}}
                rows.append(json.dumps(row, ensure_ascii=False))
            path = folder / benchmark.title / f"{language}.jsonl"
            path.write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """The folder of all tasks."""
    folder = tmp_path_factory.mktemp("tasks") / "new"
    assert lm_eval_tasks.main(["--output", str(folder)]) == 0
    return folder


def test_every_language_of_each_benchmark_is_a_task_and_in_its_group(tasks):
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    assert set(manager.all_groups) == {f"cctuning_{name}" for name in BENCHMARKS}
    every = {(name, language) for name in BENCHMARKS for language in BENCHMARKS[name].languages}
    assert sorted(manager.all_subtasks) == sorted(f"cctuning_{name}_{language}" for name, language in every)
    for name, benchmark in BENCHMARKS.items():
        group = manager.task_index[f"cctuning_{name}"].cfg
        assert group["task"] == [f"cctuning_{name}_{language}" for language in benchmark.languages]
        metrics = [f"{metric.name}_{metric.rule}" for metric in benchmark.metrics]
        assert [each["metric"] for each in group["aggregate_metric_list"]] == metrics
        for language in benchmark.languages:
            task = manager.task_index[f"cctuning_{name}_{language}"].cfg
            assert task["dataset_kwargs"] == {"benchmark": name, "language": language}
            assert [each["metric"] for each in task["metric_list"]] == metrics


def test_the_page_names_tasks_that_exist(tasks):
    named = set(re.findall(r"cctuning_\w+", PAGE.read_text(encoding="utf-8")))
    assert named
    assert named <= set(TaskManager(include_path=str(tasks), include_defaults=False).all_tasks)


def harness_model(folder, **options):
    return HFLM(
        pretrained=str(folder), dtype="float32", add_bos_token=False, device="cpu", batch_size=2, **options
    )


def test_prompts_responses_and_scores_are_those_of_our_own_inference(exported, data, tasks):
    lm = harness_model(exported, trust_remote_code=True)
    results = simple_evaluate(
        model=lm,
        tasks=[f"cctuning_{name}_{language}" for name, language in ASKED.items()],
        task_manager=TaskManager(
            include_path=str(tasks), include_defaults=False, metadata={"data": str(data)}
        ),
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    assert lm.model.last_selection is not None  # connected
    prompts = PromptFormat(tiny_tokenizer())
    connected, plain = load_model(exported), AutoModelForCausalLM.from_pretrained(exported)
    seen = set()
    for name, language in ASKED.items():
        benchmark = BENCHMARKS[name]
        items = read_items(data, benchmark, language)
        texts = [prompts_of(item, benchmark)[0] for item in items]
        ours = answers_of(connected, texts)
        samples = results["samples"][f"cctuning_{name}_{language}"]
        samples = sorted(samples, key=lambda sample: sample["doc_id"])
        assert len(samples) == len(items) == QUESTIONS
        for item, text, sample, our in zip(items, texts, samples, ours, strict=True):
            assert sample["arguments"][0][0] == prompts.prompt_text(text)
            assert sample["resps"][0][0].strip() == our.text
            assert our.connected
            for metric in benchmark.metrics:
                expected = metric.score(our.text, item)
                assert sample[f"{metric.name}_{metric.rule}"] == expected
                seen.add((metric.key, expected == 1))
        assert [said.text for said in answers_of(plain, texts)] != [said.text for said in ours]
        for metric in benchmark.metrics:
            mean = (
                sum(metric.score(our.text, item) for our, item in zip(ours, items, strict=True)) / QUESTIONS
            )
            key = f"{metric.name}_{metric.rule},none"
            assert results["results"][f"cctuning_{name}_{language}"][key] == pytest.approx(mean)
    for key in ("accuracy,paper", "exact_match,strict", "f1,strict", "rougeL,paper"):
        assert {(key, True), (key, False)} <= seen


def test_log_likelihoods_are_connected_behind_a_response_marker_alone(exported):
    question = SENTENCES["ru"][0]
    with_marker = PromptFormat(tiny_tokenizer()).prompt_text(question)
    ours, plain = (harness_model(exported, trust_remote_code=code) for code in (True, False))

    def log_likelihood(lm, context):
        request = Instance("loglikelihood", {}, (context, "Париж"), 0)
        [(log_likelihood, _)] = lm.loglikelihood([request], disable_tqdm=True)
        return log_likelihood

    assert abs(log_likelihood(ours, with_marker) - log_likelihood(plain, with_marker)) > 1e-3
    with pytest.raises(ValueError, match="no response marker in row 0"):
        log_likelihood(ours, question)


def test_the_command_line_runs_a_group(exported, data, tasks, tmp_path, monkeypatch):
    arguments = ["--model", "hf", "--tasks", "cctuning_mkqa", "--include_path", str(tasks)]
    arguments += ["--model_args", f"pretrained={exported},trust_remote_code=True,add_bos_token=False"]
    arguments += ["--apply_chat_template", "--metadata", json.dumps({"data": str(data)}), "--limit", "1"]
    arguments += ["--device", "cpu", "--output_path", str(tmp_path), "--log_samples"]
    monkeypatch.setattr(sys, "argv", ["lm_eval", *arguments])
    # Without the thousands of files of its own tasks, which take longer to read than ours to run.
    monkeypatch.setattr("lm_eval.tasks.TaskManager", partial(TaskManager, include_defaults=False))
    cli_evaluate()
    [path] = tmp_path.rglob("results_*.json")
    results = json.loads(path.read_text(encoding="utf-8"))
    languages = BENCHMARKS["mkqa"].languages
    scores = [
        results["results"][f"cctuning_mkqa_{language}"]["accuracy_paper,none"] for language in languages
    ]
    assert results["groups"]["cctuning_mkqa"]["accuracy_paper,none"] == pytest.approx(sum(scores) / 10)
    assert {0, 1} == set(scores)
    assert len(list(tmp_path.rglob("samples_cctuning_mkqa_*.jsonl"))) == len(languages)


def test_without_a_folder(monkeypatch, data):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=f"--metadata .*{FOLDER_VARIABLE}"):
        load_questions(benchmark="mkqa", language="ru")
    monkeypatch.setenv(FOLDER_VARIABLE, os.fspath(data))
    assert len(load_questions(benchmark="mkqa", language="ru", pretrained="x")["test"]) == QUESTIONS


def test_options_of_different_labels(data):
    documents = load_questions(benchmark="globalopinionqa", language="ru", data=str(data))["test"]
    assert [score(document, [" (a)\n"])["accuracy_paper"] for document in documents] == [1] * QUESTIONS
    # The last option of the third question is none of the first's; its text alone is a strict matter.
    assert [score(document, ["text C"])["accuracy_strict"] for document in documents] == [0] * QUESTIONS
    assert [score(document, ["text A"])["accuracy_strict"] for document in documents] == [1] * QUESTIONS
    assert [document["asked"] for document in documents][1] == SENTENCES["ru"][2] + " y"
