"""Responses to all questions: what batches, processes and interruptions may not change."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from torch import distributed

from cctuning.distributed.sharing import Shard
from cctuning.evaluation.asking import responses
from cctuning.evaluation.asking.log_likelihood import option_log_likelihoods
from cctuning.evaluation.asking.questions import Prompt, Question
from cctuning.evaluation.asking.responses import GenerationSettings, ask
from cctuning.evaluation.asking.store import ResponseFile
from cctuning.generation.engine_model import EngineModel
from cctuning.generation.generate import answer, generate_batch
from tests.processes import run_together
from tests.questions import PROMPTS, exported_model, plain_model, run_model, task

HOW = GenerationSettings(max_new_tokens=6, batch_size=4)
CHOICES = {"options": 3}


def close(found, expected):
    """Equal, log-likelihoods to rounding."""
    assert len(found) == len(expected)
    for own, other in zip(found, expected, strict=True):
        likelihoods = [response.get("log_likelihoods", {}) for response in (own, other)]
        assert likelihoods[0] == pytest.approx(likelihoods[1], abs=1e-9)
        assert {**own, "log_likelihoods": 0} == {**other, "log_likelihoods": 0}


@pytest.mark.parametrize("settings", [{}, {"parallel": True}, CHOICES], ids=["none", "bilingual", "choices"])
def test_are_those_of_one_question_at_a_time(tmp_path, settings):
    model, questions = run_model(), task(**settings)
    found = ask(model, PROMPTS, questions, tmp_path / "a", HOW)
    for question, response in zip(questions.questions, found, strict=True):
        english = [question.parallel.text] if question.parallel else None
        [alone] = answer(model, PROMPTS, [question.prompt.text], english=english, max_new_tokens=6)
        assert response["doc_id"] == question.item.id
        assert (response["response"], response["connected"], response["layer"]) == (
            alone.text,
            alone.connected,
            alone.layer,
        )
        assert ("log_likelihoods" in response) == bool(settings.get("options"))
    close(ask(model, PROMPTS, questions, tmp_path / "b", GenerationSettings(6, batch_size=1)), found)
    close(
        ask(model, PROMPTS, questions, tmp_path / "c", GenerationSettings(6, batch_size=9, batch_tokens=50)),
        found,
    )


class Behind(EngineModel):
    """A model behind an engine: this one has it here."""

    def __init__(self, model):
        self.model, self.generation_config = model, model.generation_config

    def generate_batch(self, prompts, ids, english_ids, *, max_new_tokens):
        return generate_batch(self.model, prompts, ids, english_ids, max_new_tokens=max_new_tokens)

    def log_likelihoods(self, ids, english_ids, option_ids):
        rows = zip(ids, english_ids or [None] * len(ids), option_ids, strict=True)
        questions = [
            Question(None, Prompt("", own), english and Prompt("", english), options)
            for own, english, options in rows
        ]
        return option_log_likelihoods(self.model, PROMPTS, questions)


@pytest.mark.parametrize("settings", [{"parallel": True}, CHOICES], ids=["bilingual", "choices"])
def test_of_a_model_behind_an_engine_are_the_same(tmp_path, settings):
    model, questions = run_model(), task(**settings)
    found = ask(model, PROMPTS, questions, tmp_path / "a", HOW)
    close(ask(Behind(model), PROMPTS, questions, tmp_path / "b", HOW), found)


def test_say_how_long_they_are_and_whether_they_ended(tmp_path):
    model = plain_model()
    [first, *_] = task().questions
    tokens = model.generate(torch.tensor([first.prompt.ids]), max_new_tokens=6, do_sample=False)[0]
    written = tokens[len(first.prompt.ids) :].tolist()
    model.generation_config.eos_token_id = written[3]
    response = ask(model, PROMPTS, task(), tmp_path, HOW)[0]
    assert written[3] not in written[:3]
    assert (response["new_tokens"], response["stopped"]) == (3, True)
    long = ask(plain_model(), PROMPTS, task(), tmp_path / "long", HOW)[0]
    assert (long["new_tokens"], long["stopped"]) == (6, False)


def test_the_last_tokens_are_the_end_of_the_response(tmp_path, monkeypatch):
    monkeypatch.setattr(responses, "LAST_TOKENS", 2)
    for response in ask(plain_model(), PROMPTS, task(), tmp_path, HOW):
        assert response["response"].endswith(response["last_tokens"])
        assert len(response["last_tokens"]) < len(response["response"])


def asked_batches(monkeypatch):
    """Notes the batches that are asked, by the ids of their questions."""
    asked, whole = [], responses._ask_batch

    def note(model, prompts, questions, how):
        asked.append([question.item.id for question in questions])
        return whole(model, prompts, questions, how)

    monkeypatch.setattr(responses, "_ask_batch", note)
    return asked


def test_an_interruption_anywhere_changes_nothing_and_no_whole_batch_is_asked_again(tmp_path, monkeypatch):
    model, questions = run_model(), task(**CHOICES)
    expected = ask(model, PROMPTS, questions, tmp_path / "whole", HOW)
    content = ResponseFile(tmp_path / "whole", questions.name).path.read_bytes()
    batches = asked_batches(monkeypatch)
    all_batches = None
    for end in itertools.chain(range(0, len(content), 199), [len(content) - 1, len(content)]):
        folder = tmp_path / str(end)
        folder.mkdir()
        file = ResponseFile(folder, questions.name)
        file.path.write_bytes(content[:end])
        batches.clear()
        assert ask(model, PROMPTS, questions, folder, HOW) == expected
        assert file.path.read_bytes() == content
        all_batches = all_batches or list(batches)
        assert batches == all_batches[len(all_batches) - len(batches) :]
    assert batches == []


def test_other_batches_may_go_on_where_the_first_ended(tmp_path):
    model, questions = run_model(), task()
    expected = ask(model, PROMPTS, questions, tmp_path, HOW)
    file = ResponseFile(tmp_path, questions.name)
    file.path.write_bytes(b"".join(file.path.read_bytes().splitlines(keepends=True)[:4]))
    assert ask(model, PROMPTS, questions, tmp_path, GenerationSettings(6, batch_size=2)) == expected


def test_progress_counts_every_question_once(tmp_path):
    for _ in range(2):
        steps = []
        ask(plain_model(), PROMPTS, task(), tmp_path, HOW, progress=steps.append)
        assert sum(steps) == 9


def work(process, folder):
    torch.set_num_threads(1)
    model = exported_model(Path(folder, f"model{process}"))  # while alone: only the first process saves
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=process, world_size=2)
    found = ask(model, PROMPTS, task(**CHOICES), folder, GenerationSettings(6, 2), shard=Shard(process, 2))
    Path(folder, f"{process}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path):
    model, questions = exported_model(tmp_path / "model"), task(**CHOICES)
    expected = ask(model, PROMPTS, questions, tmp_path / "alone", GenerationSettings(6, 2))
    begun = tmp_path / "begun"
    begun.mkdir()
    content = ResponseFile(tmp_path / "alone", questions.name).path.read_bytes()
    ResponseFile(begun, questions.name).path.write_bytes(content[: len(content) // 2])
    run_together(work, 2, str(begun))
    first, second = (json.loads((begun / f"{process}.json").read_text()) for process in range(2))
    assert first == expected
    assert second == []
