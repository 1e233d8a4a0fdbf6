"""`cctuning serve`: answers are those of `answer`, and no request takes the server down."""

import http.client
import json
import socket
import struct
import sys
import threading
from contextlib import contextmanager

import pytest
import torch

from cctuning import CCTuningModel
from cctuning.commands import serve_model as command
from cctuning.commands.schemas import ServeRecipe
from cctuning.commands.serve_model import serve_model, vllm_command
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.export import export_monolingual
from cctuning.generation.generate import answer
from cctuning.serving.http_server import CHAT, ChatServer
from cctuning.translation.language_model import LanguageModelTranslator
from cctuning.translation.prompt import into_english
from tests.scripts import call
from tests.tiny import tiny_llama, tiny_tokenizer

QUESTION, ENGLISH = "Mji mkuu wa Kenya ni upi?", "Capital of Kenya?"
TALK = [{"role": "user", "content": QUESTION}]


def write_translating(folder):
    """An exported model that puts Swahili into English, of which many tokens end a response.

    Returns the folder, what the package's translator makes of `QUESTION` with it, and the answer then.
    """
    tokenizer = tiny_tokenizer()
    prompts = PromptFormat(tokenizer)
    base = tiny_llama(len(tokenizer), initializer_range=0.3)
    base.generation_config.eos_token_id = [prompts.stop_token_id, *range(10, 90, 2)]
    torch.manual_seed(1)
    matrix = torch.randn(32, 32)
    export_monolingual(CCTuningModel.wrap(base), tokenizer, matrix, folder, into_english=into_english(["sw"]))
    translator = LanguageModelTranslator(load_model(folder), prompts, model_name="self")
    [english] = translator.translate([QUESTION], source="sw", target="en")
    assert isinstance(english, str)
    return folder, english, expected(folder, english=[english])


@contextmanager
def serving(folder):
    """The address of a server of the model in a folder, called "tiny"."""
    ready, servers = threading.Event(), []

    def serve_forever(server):
        servers.append(server)
        ready.set()
        ChatServer.serve_forever(server, poll_interval=0.01)

    class Watched(ChatServer):
        def serve_forever(self):
            serve_forever(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "ChatServer", Watched)
        recipe = ServeRecipe(
            model=str(folder), engine="transformers", port=0, name="tiny", use_cpu=True, max_new_tokens=6
        )
        thread = threading.Thread(target=serve_model, args=(recipe,), daemon=True)
        thread.start()
        while not ready.wait(0.05):
            assert thread.is_alive()
        try:
            yield servers[0].server_address
        finally:
            servers[0].shutdown()
            thread.join()


@pytest.fixture(scope="module")
def address(folders):
    with serving(folders["exported"]) as address:
        yield address


def ask(address, body=None, method="POST", path=CHAT, **headers):
    """Status and text of the answer to a request, whose body is JSON or bytes."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    body = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    status, text = response.status, response.read().decode()
    connection.close()
    return status, text


def answered(address, **fields):
    status, text = ask(address, {"messages": TALK, **fields})
    assert status == 200, text
    return json.loads(text)


def events(address, **fields):
    """The JSON of each event of a stream."""
    status, text = ask(address, {"messages": TALK, "stream": True, **fields})
    assert status == 200, text
    *parts, end, rest = text.split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    return [json.loads(part.removeprefix("data: ")) for part in parts]


def expected(folder, **options):
    [said] = answer(
        load_model(folder), PromptFormat(tiny_tokenizer()), [QUESTION], max_new_tokens=6, **options
    )
    return said


def test_an_answer_is_that_of_the_connected_model(folders, address):
    said, given = expected(folders["exported"]), answered(address)
    [choice] = given["choices"]
    assert choice["message"] == {"role": "assistant", "content": said.text}
    assert given["cctuning"] == {"connected": True, "layer": said.layer}
    assert (given["model"], choice["finish_reason"]) == ("tiny", "length")
    assert given["usage"] == {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46}


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"vllm_xargs": {"cctuning_connected": 0}}, None),
        ({"vllm_xargs": {"cctuning_english": ENGLISH}}, {"english": [ENGLISH]}),
    ],
    ids=["off", "bilingual"],
)
def test_a_request_chooses_its_connection(folders, address, fields, options):
    model = folders["exported"] if options else folders["run"]  # which without English is the plain one
    said, given = expected(model, **(options or {})), answered(address, **fields)
    assert given["choices"][0]["message"]["content"] == said.text
    assert given["cctuning"] == {"connected": said.connected, "layer": said.layer}
    assert said.text != expected(folders["exported"]).text


@pytest.mark.parametrize("before", [[], [*TALK, {"role": "assistant", "content": "Nairobi."}]])
def test_the_model_puts_the_last_question_into_english_itself(tmp_path, before):
    folder, english, said = write_translating(tmp_path)
    fields = {"messages": [*before, *TALK], "vllm_xargs": {"cctuning_prompt_language": "sw"}}
    with serving(folder) as address:
        given = answered(address, **fields)
        assert given["cctuning"] == {"connected": True, "layer": said.layer, "english": english}
        by_hand = answered(address, **fields | {"vllm_xargs": {"cctuning_english": english}})
        assert text_of(given) == text_of(by_hand)
        assert before or text_of(given) == said.text
        assert events(address, **fields)[-1]["cctuning"] == given["cctuning"]
        status, text = ask(address, fields | {"vllm_xargs": {"cctuning_prompt_language": "de"}})
        assert status == 400 and "translates: sw" in text


def test_a_stream_is_the_answer_in_pieces(folders, address):
    first, *_, end, usage = events(address, stream_options={"include_usage": True})
    pieces = [event["choices"][0]["delta"].get("content", "") for event in events(address)]
    said = expected(folders["exported"])
    assert "".join(pieces) == said.text and len([piece for piece in pieces if piece]) > 1
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert end["choices"][0]["finish_reason"] == "length"
    assert end["cctuning"] == {"connected": True, "layer": said.layer}
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 6


def text_of(given):
    return given["choices"][0]["message"]["content"]


def test_sampling_is_repeatable_by_its_seed(address):
    texts = [text_of(answered(address, temperature=1, seed=seed)) for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1] and len(set(texts)) > 1
    assert text_of(answered(address, temperature=0, top_p=0.5)) == text_of(answered(address))
    for best in ({"temperature": 1, "top_p": 1e-6}, {"temperature": 1, "top_p": 0}, {"temperature": 1e-320}):
        assert text_of(answered(address, **best)) == text_of(answered(address))


def test_an_answer_ends_before_a_stop_text(address):
    whole = text_of(answered(address))
    sign = whole[2:4]
    given = answered(address, stop=[sign])
    assert text_of(given) == whole[: whole.index(sign)].rstrip()
    assert given["choices"][0]["finish_reason"] == "stop"
    pieces = [event["choices"][0]["delta"].get("content", "") for event in events(address, stop=sign)]
    assert "".join(pieces) == text_of(given)


def test_a_conversation_is_read_as_a_whole(folders, address):
    talk = [
        {"role": "system", "content": "Answer briefly."},
        *TALK,
        {"role": "assistant", "content": "Nairobi."},
        {"role": "user", "content": [{"type": "text", "text": "Ya Peru"}, {"type": "text", "text": "?"}]},
    ]
    tokenizer = tiny_tokenizer()
    flat = [*talk[:3], {"role": "user", "content": "Ya Peru?"}]
    ids = tokenizer.apply_chat_template(flat, add_generation_prompt=True, return_dict=False)
    tokens = load_model(folders["exported"]).generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=6
    )
    said = PromptFormat(tokenizer).response_text(tokens[0, len(ids) :].tolist())
    status, text = ask(address, {"messages": talk, "model": "tiny", "user": "me", "n": 1})
    assert status == 200 and text_of(json.loads(text)) == said


MALFORMED = {
    "no JSON": (400, b'{"messages": ['),
    "no UTF-8": (400, b'{"messages": "\xff"}'),
    "no object": (400, b"[]"),
    "deep": (400, b"[" * 100_000),
    "no number": (400, b'{"messages": [{"role": "user", "content": "a"}], "temperature": NaN}'),
    "no messages": (400, {}),
    "text for messages": (400, {"messages": "hello"}),
    "no role": (400, {"messages": [{"content": "a"}]}),
    "another role": (400, {"messages": [{"role": "robot", "content": "a"}]}),
    "an object for a role": (400, {"messages": [{"role": {}, "content": "a"}]}),
    "a number for text": (400, {"messages": [{"role": "user", "content": 7}]}),
    "an image": (400, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}),
    "half a surrogate": (400, {"messages": [{"role": "user", "content": "\ud800"}]}),
    "an answer to answer": (400, {"messages": [*TALK, {"role": "assistant", "content": "a"}]}),
    "a late system message": (400, {"messages": [*TALK, {"role": "system", "content": "a"}, *TALK]}),
    "another model": (404, {"messages": TALK, "model": "gpt"}),
    "a misspelt field": (400, {"messages": TALK, "temprature": 1}),
    "a misspelt field of a stream": (400, {"messages": TALK, "stream_options": {"include_usge": True}}),
    "text for a number": (400, {"messages": TALK, "temperature": "hot"}),
    "a negative length": (400, {"messages": TALK, "max_tokens": -1}),
    "no length": (400, {"messages": TALK, "max_tokens": 0}),
    "yes for a length": (400, {"messages": TALK, "max_tokens": True}),
    "no room": (400, {"messages": TALK, "max_tokens": 10_000}),
    "a long prompt": (400, {"messages": [{"role": "user", "content": "a b " * 2_000}], "stream": True}),
    "several answers": (400, {"messages": TALK, "n": 3}),
    "tools": (400, {"messages": TALK, "tools": [{"type": "function"}]}),
    "an empty stop text": (400, {"messages": TALK, "stop": [""]}),
    "a large seed": (400, {"messages": TALK, "seed": 2**70}),
    "text for a switch": (400, {"messages": TALK, "stream": "yes"}),
    "an unknown argument": (400, {"messages": TALK, "vllm_xargs": {"cctuning_layer": 3}}),
    "a language without words": (400, {"messages": TALK, "vllm_xargs": {"cctuning_prompt_language": "sw"}}),
    "English and off": (
        400,
        {"messages": TALK, "vllm_xargs": {"cctuning_english": "a", "cctuning_connected": 0}},
    ),
}


def test_malformed_requests_are_refused_one_by_one_and_the_next_is_answered(folders, address):
    for name, (status, body) in MALFORMED.items():
        got, text = ask(address, body)
        assert got == status, (name, text)
        error = json.loads(text)["error"]
        assert error["code"] == status and error["message"], name
    assert text_of(answered(address)) == expected(folders["exported"]).text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", CHAT, 405), ("DELETE", CHAT, 405), ("POST", "/v1/models", 405), ("POST", "/v1/embeddings", 404)],
)
def test_other_methods_and_places(address, method, path, status):
    assert ask(address, {}, method, path)[0] == status


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (f"POST {CHAT} HTTP/1.1\r\n\r\n", 411),
        (f"POST {CHAT} HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 411),
        (f"POST {CHAT} HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        ("nonsense\r\n\r\n", 400),
    ],
)
def test_broken_heads(address, request_, status):
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request_.encode())
        assert str(status) in connection.recv(4000).decode()


def test_a_client_that_goes_away_leaves_the_server_to_the_next(folders, address):
    body = json.dumps({"messages": TALK, "stream": True, "max_tokens": 400}).encode()
    for sent in (body, body[: len(body) // 2]):
        with socket.create_connection(address, timeout=60) as connection:
            head = f"POST {CHAT} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + sent)
    assert text_of(answered(address)) == expected(folders["exported"]).text


def test_a_client_that_breaks_off_leaves_no_stack_trace(address, capfd):
    for sent in (b"", b"POST /v1", f"POST {CHAT} HTTP/1.1\r\nContent-Length: 9\r\n\r\n{{".encode()):
        connection = socket.create_connection(address, timeout=60)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close resets
        connection.sendall(sent)
        connection.close()
    answered(address)
    assert "Traceback" not in capfd.readouterr().err


def test_many_clients_at_once_get_their_own_answers(folders, address):
    said = {0: expected(folders["run"]).text, 1: expected(folders["exported"]).text}
    got = {}

    def work(number):
        fields = {"vllm_xargs": {"cctuning_connected": number % 2}}
        got[number] = text_of(answered(address, **fields))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: said[number % 2] for number in range(8)}


def test_a_failure_of_the_server_is_told_apart_and_does_not_end_it(folders, capfd):
    with serving(folders["plain"]) as address:
        assert answered(address)["cctuning"] == {"connected": False, "layer": None}
        status, text = ask(address, {"messages": TALK, "vllm_xargs": {"cctuning_english": ENGLISH}})
        assert status == 400 and "plain" in text
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "respond", lambda *_, **__: 1 / 0)
            status, text = ask(address, {"messages": TALK})
        assert status == 500 and "ZeroDivisionError" not in text
        assert "ZeroDivisionError" in capfd.readouterr().err
        assert json.loads(ask(address, method="GET", path="/health")[1]) == {"status": "ok"}
        assert json.loads(ask(address, method="GET", path="/v1/models")[1])["data"][0]["id"] == "tiny"


# --- The command --------------------------------------------------------------------------------------------


def test_a_run_is_not_served_without_its_connection(folders):
    ended = call("serve", f"model={folders['run']}")
    assert ended.status == 1 and "monolingual" in ended.err and "cctuning fit" in ended.err


def test_an_address_that_is_taken_is_told_before_a_model_is_loaded(folders, address):
    ended = call("serve", f"model={folders['exported']}", "engine=transformers", f"port={address[1]}")
    assert ended.status == 1 and f"port={address[1]}: another process" in ended.err


@pytest.fixture
def vllm(monkeypatch):
    """vLLM as if it were installed, with the plug-in; the commands that were started."""
    started = []

    class Started:
        def __init__(self, command):
            started.append(command)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def wait(self):
            return 3

        def terminate(self):
            pass

    class Point:
        name = "cctuning"

    monkeypatch.delenv("VLLM_PLUGINS", raising=False)
    monkeypatch.setattr(command, "find_spec", lambda name: object())
    monkeypatch.setattr(command, "entry_points", lambda group: [Point()])
    monkeypatch.setattr(command.subprocess, "Popen", Started)
    return started


def test_vllm_is_taken_where_it_is_installed(folders, vllm):
    arguments = (f"model={folders['exported']}", "name=mine", "vllm_arguments=[--max-model-len=64]")
    ended = call("serve", *arguments)
    assert ended.status == 1 and "status 3" in ended.err
    [words] = vllm
    assert words[:5] == [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(folders["exported"]),
    ]
    assert words[-1] == "--max-model-len=64" and words[words.index("--served-model-name") + 1] == "mine"
    greedy = words[words.index("--override-generation-config") + 1]
    assert json.loads(greedy) == {"temperature": 0}
    assert "--trust-remote-code" in vllm_command(ServeRecipe(model="a", trust_remote_code=True))


@pytest.mark.parametrize(("plugins", "points"), [("", True), ("other", True), (None, False)])
def test_vllm_without_the_plug_in_is_refused(folders, vllm, monkeypatch, plugins, points):
    if plugins is not None:
        monkeypatch.setenv("VLLM_PLUGINS", plugins)
    if not points:
        monkeypatch.setattr(command, "entry_points", lambda group: [])
    ended = call("serve", f"model={folders['exported']}")
    assert ended.status == 1 and ("VLLM_PLUGINS" if points else "plug-in") in ended.err
    assert vllm == []


def test_vllm_that_is_not_installed_is_named(folders, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    ended = call("serve", f"model={folders['exported']}", "engine=vllm")
    assert ended.status == 1 and "cctuning[vllm]" in ended.err
