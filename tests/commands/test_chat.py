import pytest
import torch
from rich.control import strip_control_codes

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.commands import chat_with_model as chat
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.export import export_monolingual
from cctuning.generation.generate import answer
from cctuning.tools.errors import printable
from tests.scripts import call, write_base
from tests.tiny import tiny_llama, tiny_tokenizer

QUESTION, ENGLISH = "Mji mkuu wa Kenya ni upi?", "Capital of Kenya?"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A plain base model, a CC-Tuning run, and an exported model, with loud connections."""
    folder, tokenizer = tmp_path_factory.mktemp("models"), tiny_tokenizer()
    torch.manual_seed(0)
    run = CCTuningModel.wrap(tiny_llama(len(tokenizer), initializer_range=0.3), ConnectionConfig())
    run.save_pretrained(folder / "run")
    tokenizer.save_pretrained(folder / "run")
    export_monolingual(run, tokenizer, torch.randn(32, 32), folder / "exported")
    return {"plain": write_base(folder / "plain"), "run": folder / "run", "exported": folder / "exported"}


def asked(folder, *arguments, typed=""):
    ended = call(chat, f"model={folder}", "max_new_tokens=6", "use_cpu=true", *arguments, typed=typed)
    assert ended.status == 0, ended.err
    return ended.out.splitlines()


def shown_as(text):
    """As a terminal shows it, without blanks and line ends; Rich drops a few control characters itself."""
    return "".join(printable(strip_control_codes(text)).split())


def expected(folder, question, english=None):
    model, prompts = load_model(folder), PromptFormat(tiny_tokenizer())
    [said] = answer(model, prompts, [question], english=english and [english], max_new_tokens=6)
    return said


@pytest.mark.parametrize(
    ("kind", "english", "source"),
    [
        ("run", ENGLISH, "layer {} of the English prompt"),
        ("run", None, "not connected"),
        ("exported", None, "layer {} of the model's own outputs, transformed"),
        ("exported", ENGLISH, "layer {} of the English prompt"),
        ("plain", None, "not connected"),
    ],
)
def test_a_question_is_answered_with_where_the_connection_came_from(folders, kind, english, source):
    said = expected(folders[kind], QUESTION, english)
    shown = asked(folders[kind], f"question={QUESTION}", *([f"english={english}"] if english else []))
    assert shown_as("".join(shown[:-1])) == shown_as(said.text)
    assert shown[-1] == source.format(said.layer)


def test_english_for_a_plain_model_is_a_clear_error(folders):
    ended = call(chat, f"model={folders['plain']}", f"question={QUESTION}", f"english={ENGLISH}")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: english= needs a connected model, and ")
    assert "plain LlamaForCausalLM" in ended.err


def test_a_conversation_asks_for_question_and_english_until_an_empty_question(folders):
    shown = asked(folders["run"], typed=f"{QUESTION}\n{ENGLISH}\n{QUESTION}\n\n\nnever asked\n")
    text = "\n".join(shown)
    assert "bilingual, connected where you give the question in English too" in text
    bilingual, alone = expected(folders["run"], QUESTION, ENGLISH), expected(folders["run"], QUESTION)
    assert text.index(f"layer {bilingual.layer} of the English prompt") < text.index("not connected")
    assert shown_as(bilingual.text) in shown_as(text) and shown_as(alone.text) in shown_as(text)
    assert text.count("question>") == 3 and text.count("in English (or empty)>") == 2


@pytest.mark.parametrize("typed", [QUESTION, f"{QUESTION}\n"])
def test_a_conversation_ends_with_its_input(folders, typed):
    text = "\n".join(asked(folders["plain"], typed=typed))
    assert "a plain model, not connected" in text
    assert shown_as(expected(folders["plain"], QUESTION).text) in shown_as(text)
    assert "in English" not in text


def test_no_model_there(tmp_path):
    ended = call(chat, f"model={tmp_path}/nothing", "question=hi")
    assert (ended.status, ended.err) == (1, f"error: model={tmp_path}/nothing does not exist\n")


def test_no_model_given():
    ended = call(chat, "question=hi")
    assert ended.status == 2
    assert ended.err.startswith("error: model must be set")
