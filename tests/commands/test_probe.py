"""probe.py as a command: what it leaves and goes on with, and what a newcomer gets wrong."""

import csv
import functools
import json
import shutil
import sys
from contextlib import ExitStack
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from cctuning.analysis import XTransplant
from cctuning.analysis.cells.store import read_cells, write_cells
from cctuning.analysis.probing import sweeping
from cctuning.commands import evaluate_model as evaluate
from cctuning.commands import probe_findings
from cctuning.commands import probe_model as script
from cctuning.commands.run_study import plan_of
from cctuning.commands.schemas import StudyRecipe
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.pretrained.loading import load_tokenizer
from cctuning.settings.recipe import load_recipe
from tests.analysis import naive
from tests.json_lines import write_lines
from tests.processes import start_two
from tests.questions import change_weight, plain_model, run_model, save_adapter, save_models
from tests.scripts import call, succeed

pytestmark = pytest.mark.slow

LANGUAGES = ("en", "sw", "zh")
LAYERS, NEW = 3, 5


def rows(language, ids, **more):
    return [
        {
            "id": number,
            "language": language,
            "prompt": f"Swali {language}{' tena' * (number % 5)}?",
            "prompt_en": f"Swali en{' tena' * (number % 5)}?",
            "answer": ["2"],
            "options": {"1": "yes", "2": "no", "3": "maybe"},
            **more,
        }
        for number in ids
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a plain model and of a run with a connection."""
    folder = tmp_path_factory.mktemp("models")
    save_models(folder, plain=plain_model(), run=run_model())
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place with pilot and unseen questions, where commands are run."""
    monkeypatch.chdir(tmp_path)
    for which, ids in (("pilot", range(2)), ("unseen", range(10, 13))):
        for language in LANGUAGES:
            write_lines(tmp_path / f"data/{which}/XNLI/{language}.jsonl", rows(language, ids))
            own = rows(language, ids, answer=["A"], options={"A": "x", "B": "y"})
            write_lines(tmp_path / f"data/{which}/GlobalOpinionQA/{language}.jsonl", own)
    return tmp_path


def arguments(model, *more):
    settings = {"benchmarks": "[xnli]", "use_cpu": "true", "max_new_tokens": str(NEW), "model": str(model)}
    settings |= {"output_dir": "out"} | dict(one.split("=", 1) for one in more)
    return [f"{key}={value}" for key, value in settings.items()]


def probe(model, *more, figures=False):
    """A study without judged selectors and, unless asked for, figures, which take most of the time."""
    with ExitStack() as left_out:
        if not figures:
            left_out.enter_context(mock.patch.object(probe_findings, "draw_figures"))
        left_out.enter_context(mock.patch.object(probe_findings, "judge", return_value=[]))
        return call(script, *arguments(model, *more))


def without_findings():
    """In a new process: the same is left out, and others' files are looked for often."""
    probe_findings.draw_figures, probe_findings.judge = mock.Mock(), mock.Mock(return_value=[])
    sweeping._LOOK_AGAIN = 0.02


def cells(folder, *parts):
    return read_cells(sorted(folder.joinpath("out", "cells", *parts).glob("*.parquet"))).to_pylist()


def files(folder):
    """Every file of cells, as it is on the disk."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("cells/**/*.parquet"))
    }


def test_a_whole_study(models, folder):
    more = ["benchmarks=[xnli,globalopinionqa]", "unseen=data/unseen"]
    succeed(script, *arguments(models / "plain", *more))
    for language in LANGUAGES:
        for benchmark in ("xnli", "globalopinionqa"):
            found = cells(folder, "pilot", "ffn", benchmark, language)
            assert len(found) == 2 * (LAYERS**2 + 1)
            assert {row["kind"] for row in found} == {"transplant", "target"}
    out = folder / "out"
    assert {"recipe.yaml", "probe.json", "summary.json", "report.html"} <= {
        path.name for path in out.iterdir()
    }
    assert list(out.glob("figures/*.png")) and list(out.glob("figures/*.svg"))
    # A folder of cells is one Parquet data set: nothing else lies among them.
    assert pq.read_table(out / "cells/pilot/ffn").num_rows == sum(
        pq.read_metadata(path).num_rows for path in (out / "cells/pilot/ffn").rglob("*.parquet")
    )
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize(
    "name, more, change",
    [
        ("plain", [], lambda own, source: source),
        ("run", [], lambda own, source: source),
        ("run", ["intervention=add", "scale=0.5", "positions=3"], lambda own, source: own + source / 2),
        ("plain", ["also_targets=[2,1]"], lambda own, source: source),
    ],
)
def test_every_cell_is_what_a_hook_and_generate_write(models, folder, name, more, change):
    assert probe(models / name, "languages=[en,sw]", "sublayers=[ffn,attention]", *more).status == 0
    positions, further = (
        3 if "positions=3" in more else 1,
        (0, 2, 1) if "also_targets=[2,1]" in more else (0,),
    )
    model = load_model(models / name)
    model.connected = False
    tokenizer = load_tokenizer(models / name)
    choose_template(tokenizer, "auto")
    prompts = PromptFormat(tokenizer)
    for sublayer in ("ffn", "attention"):
        for row in cells(folder, "pilot", sublayer, "xnli", "sw"):
            number = int(row["question"])
            texts = [f"Swali en{' tena' * number}?", f"Swali sw{' tena' * number}?"]
            source, target = map(torch.tensor, prompts.prompts_ids(texts))
            i, j = row["source_layer"], row["target_layer"]
            swaps = [(i, j + n) for n in further if j + n < LAYERS] if row["kind"] == "transplant" else []
            outputs = naive.source_outputs(model, source, sublayer, positions)
            at = slice(len(target) - positions, len(target))
            hooks = naive.changed(
                model, swaps, sublayer, lambda own, i, outputs=outputs: change(own, outputs[i]), at
            )
            expected = naive.answer(model, target, hooks, NEW)
            assert row["tokens"] == expected.tolist()[: len(row["tokens"])]
            assert row["text"] == prompts.response_text(row["tokens"])
            assert row["right_log_probability"] == row["option_log_probabilities"][1]  # the answer is 2


QUESTION = ["question=Swali sw?", "english=Swali en?", "answer=[x,Swali]", "output_dir=out"]


def test_one_question_leaves_a_map_a_table_and_a_lens(models, folder):
    asked = [
        f"model={models / 'run'}",
        *QUESTION,
        "sublayers=[ffn,block]",
        "max_new_tokens=3",
        "use_cpu=true",
    ]
    ended = succeed(script, *asked)
    out = folder / "out"
    assert {path.name for path in out.iterdir()} == {
        *("recipe.yaml", "question.json", "table.csv", "map.png", "map.svg", "lens")
    }
    result = XTransplant(load_model(models / "plain"), load_tokenizer(models / "plain"))(
        "Swali en?", "Swali sw?", ["x", "Swali"], sublayers=["ffn", "block"], max_new_tokens=3
    )
    report = json.loads((out / "question.json").read_text(encoding="utf-8"))
    for sublayer in ("ffn", "block"):
        assert report["sublayers"][sublayer]["change"] == result.map(sublayer).tolist()
        assert tuple(map(tuple, report["sublayers"][sublayer]["texts"])) == result.texts(sublayer)
    with (out / "table.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 + 2 * LAYERS**2
    assert all(line["answer"] in ended.out for line in lines[:2])
    succeed(script, f"recipe={out / 'recipe.yaml'}")
    assert json.loads((out / "question.json").read_text(encoding="utf-8")) == report


def test_the_control_is_the_same_sweep_from_another_questions_prompt(models, folder):
    for language in LANGUAGES:
        items = rows(language, range(20), answer=["Swali"], options=None)  # of five different prompts
        write_lines(folder / f"data/pilot/MKQA/{language}.jsonl", items)
    more = ["benchmarks=[mkqa]", "languages=[sw]", "sublayers=[ffn,block]", "intervention=add"]
    ended = probe(models / "plain", *more, figures=True)
    assert ended.status == 0, ended.err
    model, tokenizer = load_model(models / "plain"), load_tokenizer(models / "plain")
    choose_template(tokenizer, "auto")
    prompts = PromptFormat(tokenizer)
    answer = prompts.response_ids("Swali")[:-1]

    @functools.cache
    def outputs_of(sublayer, source):
        return naive.source_outputs(model, torch.tensor(*prompts.prompts_ids([source])), sublayer)

    @functools.cache
    def nats(sublayer, source, target, *swaps):
        """By a hook, in one forward."""
        target, outputs = torch.tensor(*prompts.prompts_ids([target])), outputs_of(sublayer, source)
        hooks = naive.changed(model, swaps, sublayer, lambda own, i: own + outputs[i], len(target) - 1)
        return float(naive.log_probability(model, target, answer, hooks))

    texts = {}
    for which in ("pilot", "control"):
        lines = (folder / f"out/questions/{which}/mkqa_sw.jsonl").read_text(encoding="utf-8").splitlines()
        texts[which] = {row["id"]: row for row in map(json.loads, lines)}
    summary = json.loads((folder / "out/summary.json").read_text(encoding="utf-8"))
    for sublayer in ("ffn", "block"):
        over = np.zeros((LAYERS, LAYERS))
        for row in cells(folder, "control", sublayer, "mkqa", "sw"):
            own, other = texts["pilot"][row["question"]], texts["control"][row["question"]]
            assert own["prompt"] == other["prompt"] and own["source_prompt"] != other["source_prompt"]
            swaps = [(row["source_layer"], row["target_layer"])] if row["kind"] == "transplant" else []
            wrong = nats(sublayer, other["source_prompt"], own["prompt"], *swaps)
            assert row["right_log_probability"] == pytest.approx(wrong, abs=1e-4)
            for pair in swaps:
                over[pair] += (nats(sublayer, own["source_prompt"], own["prompt"], pair) - wrong) / 20
        found = summary["control"][sublayer]["mkqa"]["over_control_log_probability_by_pair"]["sw"]
        assert np.allclose(found["value"], over, atol=1e-4)
    proposal = summary["proposals"]["mkqa"]
    assert proposal["enough"] and proposal["questions"] == 20 and proposal["languages"] == ["sw"]
    report = (folder / "out/report.html").read_text(encoding="utf-8")
    line = next(line for line in ended.out.splitlines() if "Where to connect" in line)
    assert "MKQA" in line and "Where to connect" in report
    assert list((folder / "out/figures").glob("control_mkqa_*.png"))
    before = files(folder / "out")
    assert probe(models / "plain", *more).status == 0
    assert files(folder / "out") == before
    assert probe(models / "plain", *more, "seed=8").status == 0  # other questions' prompts, made again
    after = files(folder / "out")
    assert {name for name in before if before[name] != after[name]} and all(
        "control" in name for name in before if before[name] != after[name]
    )


def test_a_study_scores_the_right_answers_of_its_questions(models, folder):
    for language in LANGUAGES:
        answers = rows(language, [0], answer=["Swali", "x y z " * 9], options=None)  # the second is too long
        write_lines(folder / f"data/pilot/MKQA/{language}.jsonl", answers)
    ended = probe(models / "plain", "benchmarks=[mkqa]", "languages=[sw]")
    assert ended.status == 0, ended.err
    result = XTransplant(load_model(models / "plain"), load_tokenizer(models / "plain"))(
        "Swali en?", "Swali sw?", ["Swali"], max_new_tokens=NEW
    )
    original, *grid = cells(folder, "pilot", "ffn", "mkqa", "sw")
    assert original["right_log_probability"] == pytest.approx(result.original.log_probability, abs=1e-9)
    for row in grid:
        change = row["right_log_probability"] - original["right_log_probability"]
        pair = row["source_layer"], row["target_layer"]
        assert change == pytest.approx(result.map()[pair], abs=1e-9)
    [source] = cells(folder, "pilot", "source", "mkqa", "en")
    assert source["right_log_probability"] < 0


def test_by_log_likelihood_every_answer_is_the_likeliest_option(models, folder):
    more = ["languages=[sw]", "unseen=data/unseen", "unseen_cells=all"]
    assert probe(models / "plain", *more).status == 0
    (folder / "out").rename(folder / "written")
    ended = probe(models / "plain", *more, "log_likelihood=true")
    assert ended.status == 0, ended.err
    for place in ("pilot/ffn/xnli/sw", "pilot/source/xnli/en", "unseen/ffn/xnli/sw", "control/ffn/xnli/sw"):
        found = cells(folder, *place.split("/"))
        paths = sorted((folder / "written/cells" / place).glob("*.parquet"))
        for row, written in zip(found, read_cells(paths).to_pylist(), strict=True):
            nats = row["option_log_probabilities"]
            assert nats == pytest.approx(written["option_log_probabilities"], abs=1e-9)
            assert row["text"] == f"({1 + int(np.argmax(nats))})" and row["log_probability"] == max(nats)
            assert row["correct"] == (row["text"] == "(2)")
    benchmarks = "benchmarks=[xnli,mkqa]"
    for language in LANGUAGES:
        write_lines(folder / f"data/pilot/MKQA/{language}.jsonl", rows(language, [0], options=None))
    refused = probe(models / "plain", "languages=[sw]", "log_likelihood=true", benchmarks)
    assert refused.status == 1 and "MKQA" in refused.err
    for other in ("option_scores=false", "prompting=[original,pim]"):
        refused = probe(models / "plain", *more, "log_likelihood=true", other)
        assert refused.status == 2 and other in refused.err.replace("'", "").replace(", pim", ",pim")


def test_a_question_that_would_be_asked_is_shown(models, folder):
    ended = call(script, f"model={models / 'plain'}", *QUESTION, "dry_run=true", "use_cpu=true")
    assert ended.status == 0 and "Swali sw?" in ended.out and "Swali en?" in ended.out
    assert "Nothing was asked" in ended.out and not (folder / "out").exists()


def test_sources_are_asked_once_for_all_languages(models, folder):
    assert probe(models / "plain").status == 0
    found = cells(folder, "pilot", "source", "xnli", "en")
    assert [row["question"] for row in found] == ["0", "1"]
    english = {row["question"]: row for row in cells(folder, "pilot", "ffn", "xnli", "en")}
    assert all(row["text"] == english[row["question"]]["text"] for row in found if row["kind"] == "target")


def test_an_interrupted_study_goes_on_at_the_question(models, folder, monkeypatch):
    more = ["languages=[en,sw]", "unseen=data/unseen"]
    assert probe(models / "plain", *more).status == 0
    whole = files(folder / "out")
    (folder / "out").rename(folder / "undisturbed")

    asked = []
    sweep_piece = sweeping._sweep_piece

    def interrupted(model, prompts, job, rows):
        if len(asked) == 4:
            raise KeyboardInterrupt
        asked.append(job.piece.path)
        return sweep_piece(model, prompts, job, rows)

    monkeypatch.setattr(sweeping, "_sweep_piece", interrupted)
    ended = probe(models / "plain", *more)
    assert ended.status == 130
    left = files(folder / "out")
    assert len(left) == 4

    again = []
    monkeypatch.setattr(
        sweeping, "_sweep_piece", lambda *given: again.append(given[2].piece.path) or sweep_piece(*given)
    )
    assert probe(models / "plain", *more).status == 0
    assert not set(again) & set(asked)
    assert files(folder / "out") == whole


def test_two_processes_write_what_one_writes(models, folder):
    more = ["languages=[en,sw]", "unseen=data/unseen"]
    assert probe(models / "plain", *more).status == 0
    (folder / "out").rename(folder / "alone")
    words = arguments(models / "plain", *more)
    for started in start_two("probe.py", *words, folder=folder, before=without_findings):
        ended = started.wait()
        assert ended.status == 0, ended.err
    for path in files(folder / "alone"):
        ours, theirs = (read_cells([folder / place / path]).to_pylist() for place in ("out", "alone"))
        for own, other in zip(ours, theirs, strict=True):
            for name, value in other.items():  # a new process: sums may end in another bit
                near = name.endswith(("probability", "probabilities")) and value is not None
                assert own[name] == (pytest.approx(value, abs=1e-9) if near else value), name


def test_other_settings_do_not_mix(models, folder):
    assert probe(models / "plain", "languages=[sw]").status == 0
    for other, said in (
        ("max_new_tokens=3", "max_new_tokens: 5 -> 3"),
        ("intervention=add", "intervention.change: not set -> 'add'"),
        ("scale=2", "intervention.scale: not set -> 2.0"),
        ("positions=2", "intervention.positions: not set -> 2"),
        ("also_targets=[1]", "also_targets: not set -> [1]"),
        ("log_likelihood=true", "log_likelihood: not set -> True"),
    ):
        ended = probe(models / "plain", "languages=[sw]", other)
        assert ended.status == 1 and said in ended.err
    assert probe(models / "plain", "languages=[sw]", "max_new_tokens=3", "resume=never").status == 0
    assert all(len(row["tokens"]) <= 3 for row in cells(folder, "pilot", "ffn", "xnli", "sw"))


def test_another_base_of_an_adapter_is_another_model(folder):
    save_adapter(folder / "adapter", folder / "base")
    assert probe(folder / "adapter", "languages=[sw]").status == 0
    (folder / "adapter").rename(folder / "moved")
    before = files(folder / "out")
    ended = probe(folder / "moved", "languages=[sw]", "batch_size=2", "rows=3")  # the same elsewhere
    assert ended.status == 0, ended.err
    assert "batch_size: 32 -> 2, rows: None -> 3: the rest may differ" in ended.out
    assert files(folder / "out") == before
    change_weight(folder / "base")
    ended = probe(folder / "moved", "languages=[sw]")
    assert ended.status == 1
    assert "model_parts.base.weights: " in ended.err and "resume=never" in ended.err


def test_a_study_is_finished_only_where_all_of_it_is_there(models, folder, monkeypatch):
    assert probe(models / "plain", "languages=[sw]").status == 0
    mark = folder / "out/summary.json"
    assert mark.is_file()
    write_lines(folder / "data/pilot/XNLI/sw.jsonl", rows("sw", range(2), prompt="Swali jingine?"))
    assert probe(models / "plain", "languages=[sw]").status == 1  # other questions: nothing has begun
    assert mark.is_file()
    write_lines(folder / "data/pilot/XNLI/sw.jsonl", rows("sw", range(2)))

    def stopped(*given, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sweeping, "_sweep_piece", stopped)
        assert probe(models / "plain").status == 130
        assert not mark.exists()
    assert probe(models / "plain").status == 0
    with monkeypatch.context() as patched:
        patched.setattr(probe_findings, "write_report", stopped)
        assert probe(models / "plain").status == 130
        assert not mark.exists()
    assert probe(models / "plain").status == 0
    assert mark.is_file()


def test_more_languages_and_questions_join_what_is_there(models, folder):
    assert probe(models / "plain", "languages=[sw]", "limit=1").status == 0
    before = files(folder / "out")
    assert probe(models / "plain").status == 0
    after = files(folder / "out")
    grids = {path: content for path, content in before.items() if "/ffn/" in path}
    assert grids and grids.items() <= after.items()
    assert [row["question"] for row in cells(folder, "pilot", "source", "xnli", "en")] == ["0", "1"]
    assert len(cells(folder, "pilot", "ffn", "xnli", "sw")) == 2 * (LAYERS**2 + 1)


def test_nothing_of_an_earlier_study_stays_among_what_is_made(models, folder):
    both = probe(models / "plain", "languages=[sw]", "sublayers=[ffn,attention]", figures=True)
    assert both.status == 0
    assert list((folder / "out/figures").glob("*attention*"))
    assert probe(models / "plain", "languages=[sw]", figures=True).status == 0
    assert not list((folder / "out/figures").glob("*attention*"))
    assert cells(folder, "pilot", "attention", "xnli", "sw")  # which took long


def test_chosen_pairs_and_whole_grids_of_unseen_questions_lie_apart(models, folder):
    more = ["languages=[sw]", "unseen=data/unseen", "unseen_limit=1"]
    assert probe(models / "plain", *more).status == 0
    chosen = cells(folder, "unseen_pairs", "ffn", "xnli", "sw")
    assert probe(models / "plain", *more, "unseen_cells=all").status == 0
    grid = cells(folder, "unseen", "ffn", "xnli", "sw")
    assert len(grid) == LAYERS**2 + 1
    known = {(row["source_layer"], row["target_layer"]): row["tokens"] for row in grid}
    assert all(known[row["source_layer"], row["target_layer"]] == row["tokens"] for row in chosen)


def test_an_evaluation_of_other_questions_is_told_before_anything_is_asked(models, folder):
    write_lines(folder / "data/others/XNLI/sw.jsonl", rows("sw", range(20, 22)))
    settings = ["benchmarks=[xnli]", "data=data/others", "use_cpu=true", "max_new_tokens=2", "inference=none"]
    assert call(evaluate, *settings, f"model={models / 'plain'}", "output_dir=other").status == 0
    ended = probe(models / "plain", "languages=[sw]", "unseen=data/unseen", "beside=[other]")
    assert ended.status == 1
    assert "other holds none of the unseen questions" in ended.err
    assert not (folder / "out").exists()


def test_promptings_and_evaluations_stand_beside_the_chosen_pairs(models, folder):
    settings = ["benchmarks=[xnli]", "data=data/unseen", "use_cpu=true", "max_new_tokens=5", "inference=none"]
    assert call(evaluate, *settings, f"model={models / 'plain'}", "output_dir=sft").status == 0
    more = ["unseen=data/unseen", "prompting=[original,cot,pim]", "cot_new_tokens=6", "beside=[sft]"]
    ended = probe(models / "plain", *more)
    assert ended.status == 0, ended.err
    scores = json.loads((folder / "out/summary.json").read_text(encoding="utf-8"))["unseen"]["ffn"]["scores"]
    names = {one["name"] for one in scores}
    assert {"original", "overall", "source_last", "target_first", "cot", "pim"} < names
    # The same model asked by evaluate.py is right where the study's own cells say so.
    (beside,) = names - {"original", "source", "overall", "source_last", "target_first", "cot", "pim"}
    own = {(one["language"], one["name"]): one["score"] for one in scores if one["is_main"]}
    assert all(own[language, beside] == own[language, "original"] for language in LANGUAGES)


def test_too_long_a_chain_of_thought_is_told_before_anything_is_asked(models, folder):
    ended = probe(models / "plain", "unseen=data/unseen", "prompting=[cot]", "cot_new_tokens=5000")
    assert ended.status == 1 and "positions" in ended.err
    assert not (folder / "out").exists()


def test_known_faults_are_counted_or_left_out_of_both_languages(models, folder):
    faults = {"pilot/XNLI": {"en": {"garbled": [1]}}}
    (folder / "data/anomalies.json").write_text(json.dumps(faults), encoding="utf-8")
    ended = probe(models / "plain", "dry_run=true")
    assert "XNLI en 1) take part" in " ".join(ended.out.split())
    assert probe(models / "plain", "languages=[sw]", "leave_out_faults=true").status == 0
    assert {row["question"] for row in cells(folder, "pilot", "ffn", "xnli", "sw")} == {"0"}


def test_each_process_says_what_it_did_and_a_damaged_file_is_named(models, folder):
    assert probe(models / "plain", "languages=[sw]").status == 0
    with (folder / "out/work/process_0.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert sum(line["questions"] for line in lines) == 2 + 2 + 2  # grids, sources, control
    assert all(line["token_forwards"] > 0 and line["seconds"] >= 0 for line in lines)
    path = next((folder / "out/cells/pilot/ffn/xnli/sw").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:50])
    ended = probe(models / "plain", "languages=[sw]")
    assert ended.status == 1 and path.name in ended.err and "Take it away" in ended.err
    path.unlink()
    assert probe(models / "plain", "languages=[sw]").status == 0
    assert pq.read_table(path).num_rows == LAYERS**2 + 1


def test_the_other_direction_and_another_centre(models, folder):
    assert probe(models / "plain", "languages=[sw]", "direction=to_centre", "centre=zh").status == 0
    line = (folder / "out/questions/pilot/xnli_sw.jsonl").read_text(encoding="utf-8").splitlines()[0]
    row = json.loads(line)
    assert (row["prompt"], row["source_prompt"]) == ("Swali zh?", "Swali sw?")
    ended = probe(models / "plain", "languages=[sw]", "centre=zh", "output_dir=other")
    line = next(line for line in ended.out.splitlines() if "Where to connect" in line)
    assert "English" in line and "zh" in line
    assert json.loads((folder / "other/summary.json").read_text(encoding="utf-8"))["proposals"] == {}


@pytest.mark.parametrize("package", ["plotly", "sklearn"])
def test_a_missing_package_is_told_before_anything_is_asked(models, folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    ended = probe(models / "plain")
    assert ended.status == 1
    assert f'"{package}" is not installed' in ended.err and "cctuning[analysis]" in ended.err
    assert not (folder / "out").exists()


def test_a_dry_run_shows_and_writes_nothing(models, folder):
    ended = probe(models / "plain", "dry_run=true")
    assert ended.status == 0
    assert "Nothing was asked" in ended.out and "every one of 3 layers" in ended.out
    assert not (folder / "out").exists()


def test_a_test_set_of_ones_own(models, folder):
    for language in LANGUAGES:
        own = [{"id": 0, "question": f"Swali {language}?", "options": ["x", "y"], "answer": "B"}]
        write_lines(folder / f"sets/mine/{language}.jsonl", own)
    (folder / "sets/mine.yaml").write_text('kind: choice\nprompt: "{question}"\n')
    ended = probe(models / "plain", "benchmarks=[sets/mine.yaml]", "languages=[sw]", "pilot=sets")
    assert ended.status == 0, ended.err
    assert len(cells(folder, "pilot", "ffn", "mine", "sw")) == LAYERS**2 + 1
    (folder / "sets/mine.yaml").write_text('kind: choice\nscoring: letter\nprompt: "{question}"\n')
    ended = probe(models / "plain", "benchmarks=[sets/mine.yaml]", "languages=[sw]", "pilot=sets")
    assert ended.status == 1 and "scoring.mine: 'names_option' -> 'names_letter'" in ended.err


def test_studies_are_compared_on_the_same_questions(models, folder):
    more = ["languages=[sw]", "unseen=data/unseen"]
    for model, out in (("plain", "one"), ("run", "two")):
        assert probe(models / model, *more, f"output_dir={out}").status == 0
    # The same weights: a right answer is put into one of the second study's cells by hand.
    [path, *_] = sorted((folder / "two/cells/pilot/ffn/xnli/sw").glob("*.parquet"))
    changed = read_cells([path]).to_pylist()
    for place, row in enumerate(changed):
        row["correct"] = place == 5
    write_cells(path, changed, fingerprint="x")
    succeed("compare", "results=[one,two]", "names=[a,b]", "resamples=1000", "output_dir=compared")
    scores = json.loads((folder / "compared/comparison.json").read_text(encoding="utf-8"))["scores"]
    found = {(one["benchmark"], one["metric"], one["name"]): one for one in scores if one["language"] == "sw"}
    for out, name in (("one", "a"), ("two", "b")):
        right = {}
        for row in read_cells(
            sorted((folder / out / "cells/pilot/ffn/xnli/sw").glob("*.parquet"))
        ).to_pylist():
            if row["kind"] == "transplant":
                right.setdefault(row["question"], []).append(row["correct"])
        bound = found["xnli_ffn", "upper_bound,paper", name]
        assert bound["score"] == np.mean([any(cells) for cells in right.values()]) and bound["is_main"]
        assert found["xnli_ffn", "accuracy,all_pairs", name]["score"] == pytest.approx(
            np.mean([np.mean(cells) for cells in right.values()])
        )
        unseen = found["xnli_ffn_unseen", "overall,unseen", name]
        assert unseen["questions"] == 3 and not unseen["is_main"]
    assert found["xnli_ffn", "upper_bound,paper", "b"]["difference"]["value"] == pytest.approx(
        found["xnli_ffn", "upper_bound,paper", "b"]["score"]
        - found["xnli_ffn", "upper_bound,paper", "a"]["score"]
    )
    (folder / "two/summary.json").unlink()
    ended = call("compare", "results=[one,two]", "output_dir=compared")
    assert ended.status == 1 and "two holds no finished study" in ended.err


def test_a_study_of_probes_puts_them_side_by_side(models, folder):
    for name in ("one", "two"):
        shutil.copytree(models / "plain", folder / name)
    change_weight(folder / "two")
    (folder / "mine.yaml").write_text(
        f"benchmarks: [xnli]\nunseen: data/unseen\nlanguages: [sw]\nmax_new_tokens: {NEW}\nuse_cpu: true\n"
    )
    words = ["probes=[mine.yaml]", "models=[one,two]", 'probe=["sublayers=[ffn,block]"]']
    steps, rows = plan_of(load_recipe(words, StudyRecipe))
    assert [str(step.output) for step in steps] == ["one/probing/mine", "two/probing/mine"]
    assert [(row.title, row.baseline) for row in rows] == [("one", None), ("two", "one")]
    ended = call("study", *words, "dry_run=true")
    assert ended.status == 0 and "2 steps, 0 done" in ended.out
    for step in steps:
        assert step.shown("python") in ended.out
        with mock.patch.object(probe_findings, "draw_figures"):
            assert call(script, *step.arguments).status == 0
    succeed("study", *words)
    with (folder / "outputs/studies/study/table.csv").open(encoding="utf-8") as file:
        written = {(one["questions"], one["row"]): one for one in csv.DictReader(file)}
    for name in ("one", "two"):
        summary = json.loads((folder / name / "probing/mine/summary.json").read_text(encoding="utf-8"))
        for sublayer in ("ffn", "block"):
            bounds = summary["bounds"][sublayer]["xnli"]
            for quantity, row in (
                ("original", f"{name}, original"),
                ("upper_bound", f"{name}, upper bound, {sublayer}"),
                ("chance_bound", f"{name}, by chance, {sublayer}"),
            ):
                assert float(written["pilot", row]["value"]) == bounds[quantity]["mean"]["value"]
            (overall,) = [
                score["score"]
                for score in summary["unseen"][sublayer]["scores"]
                if (score["name"], score["language"], score["benchmark"]) == ("overall", None, "xnli")
            ]
            assert float(written["unseen", f"{name}, overall, {sublayer}"]["value"]) == overall
    table = (folder / "outputs/studies/study/table.md").read_text(encoding="utf-8")
    assert all(row in table for _, row in written) and "two/probing/mine" in table
    compared = json.loads((folder / "outputs/studies/study/comparison/comparison.json").read_text())
    assert compared["names"] == ["one", "two"]
    assert "2 steps, 2 done" in call("study", *words, "dry_run=true").out
    change_weight(folder / "one")
    assert "2 steps, 1 done" in call("study", *words, "dry_run=true").out
    assert "2 steps, 0 done" in call("study", *words, "dry_run=true", "centres=[zh]").out
