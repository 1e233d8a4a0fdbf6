import pytest
import torch
from rich.control import strip_control_codes

from cctuning.commands import chat_with_model as chat
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import answer
from cctuning.tools.errors import printable
from tests.commands.test_serve import serving, write_translating
from tests.hub_cache import put_into_cache
from tests.scripts import call, succeed
from tests.tiny import tiny_tokenizer
from tests.web_server import QuietHandler, answering

QUESTION, ENGLISH = "Mji mkuu wa Kenya ni upi?", "Capital of Kenya?"


def asked(folder, *arguments, typed=""):
    ended = succeed(chat, f"model={folder}", "max_new_tokens=6", "use_cpu=true", *arguments, typed=typed)
    return ended.out.splitlines()


def shown_as(text):
    """As a terminal shows it, without blanks and line ends; Rich drops a few control characters itself."""
    return "".join(printable(strip_control_codes(text)).split())


def expected(folder, question, english=None):
    model, prompts = load_model(folder), PromptFormat(tiny_tokenizer())
    [said] = answer(model, prompts, [question], english=english and [english], max_new_tokens=6)
    return said


@pytest.mark.parametrize("stream", ["true", "false"])
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
def test_a_question_is_answered_with_where_the_connection_came_from(folders, kind, english, source, stream):
    said = expected(folders[kind], QUESTION, english)
    arguments = [f"question={QUESTION}", f"stream={stream}", *([f"english={english}"] if english else [])]
    shown = asked(folders[kind], *arguments)
    assert shown_as("".join(shown[:-1])) == shown_as(said.text)
    assert shown[-1] == source.format(said.layer)


def test_an_exported_model_of_the_hub_answers_as_its_folder_does(tmp_path, monkeypatch):
    folder, _, _ = write_translating(tmp_path / "exported")
    own = (f"question={QUESTION}", "prompt_language=sw")
    loaded = asked(folder, *own)
    put_into_cache(folder, tmp_path / "cache", monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert asked("org/name", *own) == loaded and "own English" in "".join(loaded)


def test_english_for_a_plain_model_is_a_clear_error(folders):
    ended = call(chat, f"model={folders['plain']}", f"question={QUESTION}", f"english={ENGLISH}")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: english= needs a connected model, and ")
    assert "plain LlamaForCausalLM" in ended.err


def turns(folder, *questions, system=None):
    """The answers of a conversation, each read with all before it, by transformers' own means."""
    tokenizer = tiny_tokenizer()
    model, prompts = load_model(folder), PromptFormat(tokenizer)
    talk, answers = [{"role": "system", "content": system}] if system else [], []
    for question in questions:
        talk.append({"role": "user", "content": question})
        ids = tokenizer.apply_chat_template(
            talk, add_generation_prompt=True, return_dict=False, return_tensors="pt"
        )
        tokens = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6)
        answers.append(prompts.response_text(tokens[0, ids.shape[1] :].tolist()))
        talk.append({"role": "assistant", "content": answers[-1]})
    return answers


def test_a_conversation_goes_on_from_what_was_said_until_an_empty_question(folders):
    typed = [QUESTION, "", ENGLISH, "", "/new", ENGLISH, "", "", "never asked"]
    text = "\n".join(asked(folders["exported"], "system=Be brief.", typed="\n".join(typed)))
    first, second = turns(folders["exported"], QUESTION, ENGLISH, system="Be brief.")
    [anew] = turns(folders["exported"], ENGLISH, system="Be brief.")
    assert len({first, second, anew}) == 3
    places = [shown_as(text).index(shown_as(said)) for said in (first, second, anew)]
    assert places == sorted(places)
    assert text.count("question>") == 5 and text.count("in English (or empty)>") == 3


def test_a_run_is_asked_with_and_without_the_english_question(folders):
    text = "\n".join(asked(folders["run"], typed=f"{QUESTION}\n{ENGLISH}\n/new\n{QUESTION}\n\n\n"))
    assert "bilingual, connected where you give the question in English too" in text
    bilingual, alone = expected(folders["run"], QUESTION, ENGLISH), expected(folders["run"], QUESTION)
    assert text.index(f"layer {bilingual.layer} of the English prompt") < text.index("not connected")
    assert shown_as(bilingual.text) in shown_as(text) and shown_as(alone.text) in shown_as(text)


def test_a_question_that_cannot_be_answered_is_forgotten(folders):
    text = "\n".join(asked(folders["plain"], typed=f"{'a b ' * 2000}\n{QUESTION}\n"))
    assert "warning: the conversation has" in text and "positions" in text
    assert shown_as(expected(folders["plain"], QUESTION).text) in shown_as(text)


def test_what_looks_like_a_command_is_no_question(folders):
    text = "\n".join(asked(folders["plain"], typed=f"/quit\n{QUESTION}\n"))
    assert "warning: there is no command /quit" in text and text.count("\nnot connected") == 1
    assert shown_as(expected(folders["plain"], QUESTION).text) in shown_as(text)


def test_a_special_token_in_a_question_is_warned_of(folders):
    text = "\n".join(asked(folders["plain"], f"question={QUESTION} </s>"))
    assert "warning: </s> in the question is read as a special token" in text
    assert "special token" not in "".join(asked(folders["plain"], f"question={QUESTION}"))


def test_sampling_is_repeatable_by_its_seed(folders):
    sampled = [
        asked(folders["exported"], f"question={QUESTION}", "temperature=1", f"seed={seed}")
        for seed in (1, 1, 2, 3)
    ]
    assert sampled[0] == sampled[1] and sampled[2:] != sampled[:2]


# --- A model that is served ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(folders):
    with serving(folders["exported"]) as address:
        yield f"http://{address[0]}:{address[1]}"


@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("english", [None, ENGLISH])
def test_a_served_model_answers_as_a_loaded_one(folders, server, english, stream):
    arguments = [f"question={QUESTION}", "max_new_tokens=6", f"stream={stream}"]
    arguments += [f"english={english}"] if english else []
    ended = succeed(chat, f"server={server}/v1/", *arguments)
    loaded = call(chat, f"model={folders['exported']}", "use_cpu=true", *arguments)
    assert ended.out == loaded.out


def test_questions_are_put_into_english_by_the_model_itself(tmp_path):
    folder, english, said = write_translating(tmp_path)
    own = "prompt_language=sw"
    loaded = asked(folder, f"question={QUESTION}", own)
    shown = shown_as(f"layer {said.layer} of the model's own English: {english}")
    assert shown_as("".join(loaded)) == shown_as(said.text) + shown
    text = "\n".join(asked(folder, own, typed=f"{QUESTION}\n"))
    assert shown_as(said.text) in shown_as(text) and "in English" not in text
    with serving(folder) as address:
        for stream in ("true", "false"):
            server = f"server=http://{address[0]}:{address[1]}"
            ended = call(chat, server, f"question={QUESTION}", f"stream={stream}", "max_new_tokens=6", own)
            assert ended.out.splitlines() == loaded


@pytest.mark.parametrize(("kind", "said"), [("plain", "connected model"), ("run", "cctuning fit")])
def test_a_model_that_puts_nothing_into_english(folders, kind, said):
    ended = call(chat, f"model={folders[kind]}", f"question={QUESTION}", "prompt_language=sw")
    assert (ended.status, ended.out) == (1, "") and said in ended.err


def test_a_conversation_with_a_served_model(folders, server):
    typed = f"{QUESTION}\n{'a b ' * 2000}\n{ENGLISH}\n"
    ended = call(chat, f"server={server}", "max_new_tokens=6", typed=typed)
    first, second = turns(folders["exported"], QUESTION, ENGLISH)
    assert ended.status == 0 and "tiny at http://" in ended.out
    assert shown_as(ended.out).index(shown_as(first)) < shown_as(ended.out).index(shown_as(second))
    assert "warning: server=" in ended.out and "400 the conversation has" in ended.out


class Odd(QuietHandler):
    """A server that answers as the tests say."""

    models, chat = '{"data": [{"id": "odd"}]}', "{}"

    def do_GET(self):
        self.answer(self.models)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.chat)

    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"models": "[1]"}, "no JSON object"),
        ({"models": "{}"}, "lists no model"),
        ({"models": "hello"}, "no JSON"),
        ({"chat": 'data: {"choices": [{"delta": {"content": "a"}}]}'}, "broken off"),
        ({"chat": 'data: {"choices": [3]}'}, "another way"),
        ({"chat": 'data: {"choices": {"a": 1}}'}, "another way"),
        ({"chat": r'data: {"error": {"message": "out of \u001b memory"}}'}, r"out of \x1b memory"),
    ],
)
def test_a_server_that_answers_oddly_is_told(answers, said):
    with answering(type("Odd", (Odd,), answers)) as address:
        ended = call(chat, f"server={address}", "question=hi")
    assert ended.status == 1 and f"server={address}" in ended.err and said in ended.err


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("http://127.0.0.1:1", "does not answer"),
        ("127.0.0.1:8000", "no address"),
        ("http://a:b", "no address"),
        ("ftp://127.0.0.1", "no address"),
    ],
)
def test_no_server_there(server, said):
    ended = call(chat, f"server={server}", "question=hi")
    assert ended.status == 1 and said in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("model=a", "server=http://127.0.0.1:1"),
        ("server=http://127.0.0.1:1", "dtype=float32"),
        ("server=http://127.0.0.1:1", "template_arguments.x=1"),
        ("model=a", "english=hi"),
        ("model=a", "question=a", "english=hi", "prompt_language=sw"),
        ("model=a", "seed=1"),
    ],
)
def test_settings_that_do_not_go_together(arguments):
    ended = call(chat, *arguments)
    assert ended.status == 2 and arguments[-1].partition("=")[0].partition(".")[0] in ended.err


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


def test_piped_input_may_end_with_the_question(folders):
    folder = folders["exported"]
    [answered, ended] = (asked(folder, typed=f"{QUESTION}{rest}") for rest in ("\n\n\n", "\n"))
    assert [line for line in ended if "layer" in line] == [line for line in answered if "layer" in line] != []
