"""evaluate.py as a command: every mode, what it leaves and goes on with, and what a newcomer gets wrong."""

import json
import shutil

import pytest
import torch

from cctuning.commands import evaluate_model as script
from cctuning.connection.model import load_model
from cctuning.evaluation.asking import responses
from cctuning.evaluation.results.folder import read_results
from cctuning.generation.generate import answer
from cctuning.generation.rules import prepare_to_save
from tests.json_lines import write_lines
from tests.questions import (
    PROMPTS,
    TOKENIZER,
    change_weight,
    exported_model,
    plain_model,
    run_model,
    save_adapter,
    save_models,
)
from tests.scripts import call, succeed

pytestmark = pytest.mark.slow

LANGUAGES = ("sw", "en")


def rows(language, count, **more):
    return [
        {
            "id": number,
            "language": language,
            "prompt": f"Swali {language}{' tena' * number}?",
            "prompt_en": f"Question {'again ' * number}?",
            **more,
        }
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a plain model, a run and an exported model."""
    folder = tmp_path_factory.mktemp("models")
    plain, run = plain_model(), run_model()
    run.response_marker = tuple(PROMPTS.response_marker)
    save_models(folder, plain=plain, run=run)
    exported_model(folder / "exported")
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place with benchmark files, where commands are run."""
    monkeypatch.chdir(tmp_path)
    options = {"1": "yes", "2": "no", "3": "maybe"}
    for language in LANGUAGES:
        write_lines(
            tmp_path / f"data/benchmarks/XNLI/{language}.jsonl",
            rows(language, 5, answer=["2"], options=options),
        )
        write_lines(tmp_path / f"data/benchmarks/MKQA/{language}.jsonl", rows(language, 4, answer=["x"]))
    return tmp_path


def evaluate(model, *arguments, benchmarks="[xnli,mkqa]"):
    settings = [f"benchmarks={benchmarks}", "use_cpu=true", "max_new_tokens=5", f"model={model}"]
    return call(script, *settings, "output_dir=out", *arguments)


def samples(folder, task):
    with (folder / f"out/samples_{task}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def english_of(prompt, language):
    """What the translator of these tests makes of a prompt."""
    return f"{prompt} translated"


@pytest.mark.parametrize(
    ("kind", "inference", "mode"),
    [
        ("plain", "auto", "none"),
        ("run", "none", "none"),
        ("run", "bilingual", "bilingual"),
        ("run", "translated", "translated"),
        ("exported", "auto", "monolingual"),
        ("exported", "bilingual", "bilingual"),
    ],
)
def test_every_mode_asks_what_chat_would(folder, models, kind, inference, mode):
    translations = [
        {"text": row["prompt"], "translation": english_of(row["prompt"], "sw")} for row in rows("sw", 5)
    ]
    write_lines(folder / "translations.jsonl", translations)
    ended = evaluate(
        models / kind, f"inference={inference}", "translator.kind=file", "translator.model=translations.jsonl"
    )
    assert ended.status == 0, ended.err
    assert f"questions, {mode}" in ended.out
    model = load_model(str(models / kind))
    if mode == "none" and kind == "run":
        model.connected = False
    for task, count in {"xnli_sw": 5, "mkqa_sw": 4, "xnli_en": 5, "mkqa_en": 4}.items():
        found = samples(folder, task)
        assert [sample["doc_id"] for sample in found] == list(range(count))
        for sample in found:
            prompt = sample["doc"]["prompt"]
            translated = prompt if task.endswith("_en") else english_of(prompt, "sw")
            english = {"bilingual": sample["doc"]["prompt_en"], "translated": translated}.get(mode)
            assert sample["parallel"] == english
            asked = {"english": [english]} if english else {}
            [said] = answer(model, PROMPTS, [prompt], max_new_tokens=5, **asked)
            assert sample["resps"] == [[said.text]]
            assert (sample["connected"], sample["layer"]) == (mode != "none", said.layer)
            assert ("accuracy,loglikelihood" in sample["scores"]) == task.startswith("xnli")
    results = read_results(folder / "out")
    assert set(results["results"]) >= {"xnli_sw", "xnli_en", "mkqa_sw", "mkqa_en"}
    assert results["config"]["inference"] == mode
    for file in ("recipe.yaml", "table.md", "table.csv", "scores.png"):
        assert (folder / "out" / file).stat().st_size


def test_the_likeliest_option_is_right_where_it_is_the_answer_and_more_benchmarks_join(folder, models):
    evaluate(models / "plain", benchmarks="xnli")
    for sample in samples(folder, "xnli_sw"):
        best = max(sample["log_likelihoods"], key=sample["log_likelihoods"].get)
        assert sample["scores"]["accuracy,loglikelihood"] == (best == "2")
    evaluate(models / "plain", benchmarks="mkqa")
    assert set(read_results(folder / "out")["groups"]) == {"xnli", "mkqa"}


def test_the_same_command_asks_nothing_again(folder, models, monkeypatch):
    first = evaluate(models / "plain")
    before = {path.name: path.read_bytes() for path in (folder / "out").glob("samples_*")}
    monkeypatch.setattr(responses, "_ask_batch", None)
    second = evaluate(models / "plain")
    assert (second.status, first.status) == (0, 0), second.err
    assert before == {path.name: path.read_bytes() for path in (folder / "out").glob("samples_*")}


def test_an_interrupted_evaluation_goes_on_and_ends_as_the_other(folder, models, monkeypatch):
    evaluate(models / "run", "inference=bilingual", "batch_size=2")
    whole = {path.name: path.read_bytes() for path in (folder / "out").glob("samples_*")}
    evaluate(models / "run", "inference=bilingual", "batch_size=2", "resume=never", "limit=1")
    asked, ask_batch = [], responses._ask_batch

    def stop_at_the_fifth(*arguments):
        asked.append(arguments)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return ask_batch(*arguments)

    monkeypatch.setattr(responses, "_ask_batch", stop_at_the_fifth)
    stopped = evaluate(models / "run", "inference=bilingual", "batch_size=2", "resume=never")
    assert stopped.status == 130
    ended = evaluate(models / "run", "inference=bilingual", "batch_size=2")
    assert ended.status == 0, ended.err
    assert whole == {path.name: path.read_bytes() for path in (folder / "out").glob("samples_*")}
    # Every batch was timed once, whichever call asked it.
    with (folder / "out/timings.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    for task, facts in read_results(folder / "out")["generation"].items():
        timed = [line for line in lines if line["task"] == task]
        made = samples(folder, task)
        assert sum(line["questions"] for line in timed) == len(made)
        assert facts["seconds"] == pytest.approx(sum(line["seconds"] for line in timed))
        new_tokens = sum(sample["new_tokens"] for sample in made)
        assert facts["tokens_per_second"] == pytest.approx(new_tokens / facts["seconds"])
    batches = [tuple(question.item.id for question in arguments[2]) for arguments in asked]
    assert len(batches) == 1 + len({(str(arguments[2])) for arguments in asked})  # only the stopped one again


def test_other_responses_are_not_mixed(folder, models):
    settings = {"model": models / "run", "benchmarks": "xnli", "use_cpu": "true", "output_dir": "out"}
    settings |= {"max_new_tokens": 5, "inference": "bilingual"}

    def evaluate_with(**changes):
        return call(script, *(f"{key}={value}" for key, value in (settings | changes).items()))

    assert evaluate_with().status == 0
    for changes, message in (
        ({"max_new_tokens": 6}, "max_new_tokens: 5 -> 6"),
        ({"inference": "none"}, "inference: 'bilingual' -> 'none'"),
        ({"limit": 2}, "xnli_sw: other questions"),
    ):
        ended = evaluate_with(**changes)
        assert ended.status == 1 and message in ended.err and "resume=never" in ended.err
    assert evaluate_with(limit=2, resume="never").status == 0


def test_another_base_of_an_adapter_is_another_model(folder):
    save_adapter(folder / "adapter", folder / "base")
    assert evaluate(folder / "adapter").status == 0
    moved = (folder / "adapter").rename(folder / "moved")
    assert evaluate(moved, "batch_size=2").status == 0  # the same elsewhere

    def refused(named):
        ended = evaluate(moved)
        assert ended.status == 1 and f"{named}: " in ended.err and "resume=never" in ended.err
        assert (folder / "out/results.json").is_file()

    shutil.copytree(folder / "base", folder / "other")
    change_weight(folder / "other")
    for name, old, new, named in (
        ("adapter_config.json", str(folder / "base"), str(folder / "other"), "model_parts.base.name"),
        ("tokenizer_config.json", "{", "{ ", "model_parts.tokenizer"),
    ):
        text = (moved / name).read_text()
        (moved / name).write_text(text.replace(old, new, 1))
        refused(named)
        (moved / name).write_text(text)
    change_weight(folder / "base")
    refused("model_parts.base.weights")


def test_another_batch_size_may_go_on_and_is_told(folder, models):
    evaluate(models / "plain", benchmarks="xnli")
    ended = evaluate(models / "plain", "batch_size=2", "batch_tokens=100", benchmarks="mkqa")
    assert ended.status == 0, ended.err
    assert "batch_size: 32 -> 2, batch_tokens: 16384 -> 100: the rest may differ" in ended.out
    assert "the rest may differ" not in evaluate(models / "plain", "batch_size=2", "batch_tokens=100").out


def test_known_faults_are_left_out_and_counted(folder, models):
    faults = {"XNLI": {"sw": {"why": "a reason", "garbled": [1, 3]}}}
    (folder / "data/benchmarks/anomalies.json").write_text(json.dumps(faults))
    assert evaluate(models / "plain", "leave_out_faults=true").status == 0
    assert [sample["doc_id"] for sample in samples(folder, "xnli_sw")] == [0, 2, 4]
    assert read_results(folder / "out")["left_out"] == {"xnli_sw": {"garbled": [1, 3]}}


@pytest.mark.parametrize(
    ("row", "inference", "reason", "kind"),
    [
        ({"prompt": "so long " * 600}, "none", "tokens of prompt and response", "too long"),
        ({"prompt": "a </s> b"}, "none", "spells out </s>", "special token"),
        ({"prompt_en": None}, "bilingual", "has no parallel prompt", "no parallel prompt"),
    ],
)
def test_a_question_that_cannot_be_asked_is_named_or_left_out(folder, models, row, inference, reason, kind):
    bad = rows("sw", 4, answer=["x"])
    bad[2] |= row
    write_lines(folder / "data/benchmarks/MKQA/sw.jsonl", bad)
    ended = evaluate(models / "run", f"inference={inference}", benchmarks="mkqa")
    assert ended.status == 1
    assert "sw.jsonl, row 3, id 2" in ended.err
    assert reason in ended.err
    ended = evaluate(models / "run", f"inference={inference}", "on_bad_prompt=leave_out", benchmarks="mkqa")
    assert ended.status == 0, ended.err
    assert read_results(folder / "out")["left_out"] == {"mkqa_sw": {kind: [2]}}


def test_what_may_surprise_is_said(folder, models):
    write_lines(
        folder / "data/benchmarks/XNLI/yo.jsonl",
        rows("yo", 2, answer=["2"], options={"1": "a", "2": "b", "3": "c"}),
    )
    ended = evaluate(models / "plain", "leave_out_faults=true", "dry_run=true")
    assert "has no anomalies.json, so leave_out_faults leaves out nothing" in ended.out
    assert "XNLI: yo beside the paper's languages" in ended.out
    assert "XNLI: yo" not in evaluate(models / "plain", "languages=[yo]", "dry_run=true").out
    both = evaluate(models / "plain", "languages=[yo,sw]", "dry_run=true").out
    assert "warning: MKQA has no yo in" in both


def test_nothing_says_that_an_evaluation_is_complete_before_it_is(folder, models, monkeypatch):
    evaluate(models / "plain")
    assert (folder / "out/results.json").exists()
    monkeypatch.setattr(responses, "_ask_batch", None)  # the first batch ends it
    monkeypatch.setenv("CCTUNING_DEBUG", "1")
    with pytest.raises(TypeError):
        evaluate(models / "plain", "resume=never")
    assert [path.name for path in (folder / "out").iterdir() if path.suffix in (".png", ".md", ".csv")] == []
    assert not (folder / "out/results.json").exists()


def test_a_random_layer_is_the_same_after_an_interruption(folder, models, tmp_path):
    model = run_model(pooling="random")
    prepare_to_save(model.generation_config, PROMPTS)
    model.save_pretrained(tmp_path / "random")
    TOKENIZER.save_pretrained(tmp_path / "random")
    arguments = ("inference=bilingual", "batch_size=2")
    evaluate(tmp_path / "random", *arguments)
    whole = {task: samples(folder, task) for task in ("xnli_sw", "mkqa_sw")}
    assert len({sample["layer"] for found in whole.values() for sample in found}) > 1
    torch.manual_seed(123)
    first = (folder / "out/samples_mkqa_sw.jsonl").read_bytes()
    evaluate(tmp_path / "random", *arguments, "resume=never")
    assert {task: samples(folder, task) for task in ("xnli_sw", "mkqa_sw")} == whole
    assert (folder / "out/samples_mkqa_sw.jsonl").read_bytes() == first


def test_results_say_what_was_not_translated(folder, models):
    known = [row for row in rows("sw", 4) if row["id"] not in (1, 2)]
    found = [{"text": row["prompt"], "translation": english_of(row["prompt"], "sw")} for row in known]
    write_lines(folder / "translations.jsonl", found)
    settings = ["inference=translated", "translator.kind=file", "translator.model=translations.jsonl"]
    for _ in range(2):  # asked, and read again
        ended = evaluate(models / "run", *settings, benchmarks="mkqa")
        assert ended.status == 0, ended.err
        assert "2 questions connected to their own prompt" in " ".join(ended.out.split())
        assert read_results(folder / "out")["untranslated"] == {"mkqa_sw": [1, 2]}
        assert "2 questions connected to their own prompt" in (folder / "out/table.md").read_text("utf-8")
    for sample in samples(folder, "mkqa_sw"):
        assert sample["untranslated"] == (sample["doc_id"] in (1, 2))
        assert (sample["parallel"] == sample["doc"]["prompt"]) == sample["untranslated"]
    assert not any(sample["untranslated"] for sample in samples(folder, "mkqa_en"))


def test_a_dry_run_asks_nothing_and_writes_nothing(folder, models):
    ended = evaluate(models / "exported", "dry_run=true", "languages=sw", "prompting=cot")
    assert ended.status == 0, ended.err
    assert "Nothing was asked" in ended.out
    assert "hatua" in ended.out  # step by step, in Swahili
    assert not (folder / "out").exists()


@pytest.mark.parametrize("prompting", ["cot", "pim"])
def test_other_wordings(folder, models, prompting):
    ended = evaluate(models / "run", "inference=bilingual", f"prompting={prompting}", "languages=sw")
    assert ended.status == 0, ended.err
    for sample in samples(folder, "mkqa_sw"):
        assert sample["doc"]["prompt"] in sample["prompt"]
        assert sample["doc"]["prompt"] != sample["prompt"]


def test_by_default_results_lie_beside_the_model(folder, models):
    for inference in ("bilingual", "none"):
        succeed(
            script, "benchmarks=mkqa", "use_cpu=true", "limit=1", "run_name=mine",
            f"model={models / 'run'}", f"inference={inference}",
        )  # fmt: skip
        assert (models / f"run/evaluation/mine-{inference}/results.json").is_file()


def test_a_test_set_of_ones_own_with_shots(models, folder):
    for language in LANGUAGES:
        own = [
            {"id": n, "question": f"Swali {language} {n}?", "answer": f"jibu {language} {n}"}
            for n in range(6)
        ]
        write_lines(folder / f"sets/capitals/{language}.jsonl", own)
    (folder / "sets/capitals.yaml").write_text('kind: short_answer\nprompt: "{question}"\n')
    own, pilot = "benchmarks=[sets/capitals.yaml]", ["limit=2", "shots=2", "shots_data=sets"]
    asked = ["use_cpu=true", "max_new_tokens=3", f"model={models / 'plain'}", "output_dir=out", own]
    succeed(script, *asked, *pilot)
    results = read_results(folder / "out")
    assert results["configs"]["capitals_sw"]["num_fewshot"] == results["n-shot"]["capitals_sw"] == 2
    assert results["config"]["shots"] == 2
    first, second = samples(folder, "capitals_sw")
    shown, question = first["prompt"].rsplit("\n\n", 1)
    assert question == first["doc"]["prompt"] == "Swali sw 0?"
    assert shown.split("\n")[1::3] == [
        line.replace("Swali", "jibu").rstrip("?") for line in shown.split("\n")[::3]
    ]
    assert second["prompt"].startswith(shown)
    other = call(script, *asked, "limit=2")
    assert other.status == 1 and "shots: 2 -> not set" in other.err
    refused = call(script, *asked, *pilot, "prompting=cot")
    assert refused.status == 2 and "shots=2" in refused.err
