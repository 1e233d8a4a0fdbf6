"""The HTTP server of vLLM with a connected model: many clients, and requests that cannot be meant."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.serving.vllm.exports import (
    ARCHITECTURES,
    NEW_TOKENS,
    NO_WORDS,
    Reference,
    check_equal,
    engine_environment,
    make_export,
    needs_vllm,
    random_prompts,
)

needs_vllm()
pytestmark = pytest.mark.slow

CLIENTS, LONGEST = 16, 256
PROMPTS = random_prompts(48)
ENGLISH = random_prompts(48, seed=2, longest=60)


class Server:
    """A server in a process of its own."""

    def __init__(self, folder, log):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
        command += ["--served-model-name", "m", "--port", str(self.port), "--host", "127.0.0.1"]
        command += ["--dtype", "float32", "--enforce-eager", "--block-size", "32"]
        command += ["--max-model-len", str(LONGEST), "--max-num-seqs", "16"]
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(command, env=engine_environment(), stdout=out, stderr=out)

    def wait(self, seconds=600):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                return self.ask("/v1/models")
            except OSError:
                time.sleep(0.5)
        raise TimeoutError(self.log.read_text()[-3000:])

    def ask(self, path, body=None):
        """The status and the answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if body is not None:
            request.data = json.dumps({"model": "m", "temperature": 0} | body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def complete(self, prompt, **xargs):
        """The tokens after `prompt`, and what was connected."""
        body = {"prompt": prompt, "max_tokens": NEW_TOKENS, "ignore_eos": True, "return_token_ids": True}
        status, answer = self.ask("/v1/completions", body | {"vllm_xargs": xargs or None})
        assert status == 200, answer
        answer = json.loads(answer)
        return answer["choices"][0]["token_ids"], answer["kv_transfer_params"]["cctuning"]

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def running(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    reference = Reference(make_export(request.param, folder / "model"))
    server = Server(reference.folder, folder / "log")
    try:
        server.wait()
        yield server, reference
    finally:
        server.stop()


def test_many_clients(running):
    server, reference = running
    kinds = [{}, {"cctuning_connected": 0}, {"cctuning_english": None}]

    def ask(number):
        xargs = dict(kinds[number % 3])
        if "cctuning_english" in xargs:
            xargs["cctuning_english"] = ENGLISH[number]
        return server.complete(PROMPTS[number], **xargs)

    expected = [
        reference.answer(
            prompt, connected=number % 3 != 1, english=ENGLISH[number] if number % 3 == 2 else None
        )
        for number, prompt in enumerate(PROMPTS)
    ]
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(ask, range(len(PROMPTS))))
    check_equal([tokens for tokens, _ in answers], expected)
    inferences = ["monolingual", None, "bilingual"]
    assert [told.get("inference") for _, told in answers] == [inferences[n % 3] for n in range(len(PROMPTS))]
    assert all(("layer" in told) == told["connected"] for _, told in answers)


def test_a_conversation(running):
    server, reference = running
    if reference.model.config.model_type == "qwen2":
        pytest.skip(NO_WORDS)
    words = "w9 w8 w7"
    before = [{"role": "user", "content": "w6"}, {"role": "assistant", "content": "w5"}]
    messages = [*before, {"role": "user", "content": words}]
    body = {"messages": messages, "max_tokens": NEW_TOKENS, "ignore_eos": True, "return_token_ids": True}
    [own], [ended] = reference.model.english_texts(torch.tensor([[1, 3, 9, 8, 7, 2, 4]]), language="sw")
    own_ids = reference.model.english_prompts(torch.tensor([[1, 3, 9, 8, 7, 2, 4]]), language="sw")[0]
    cases = [
        ({}, {}, "monolingual"),
        ({"cctuning_english": "w5 w6"}, {"english": [1, 3, 5, 6, 2, 4]}, "bilingual"),
        (
            {"cctuning_prompt_language": "sw"},
            {"english": own_ids[0].tolist()} if ended else {"connected": False},
            "translated",
        ),
    ]
    for xargs, how, inference in cases:
        status, answer = server.ask("/v1/chat/completions", body | {"vllm_xargs": xargs})
        assert status == 200, answer
        answer = json.loads(answer)
        prompt = answer["prompt_token_ids"]
        assert prompt == [1, 3, 6, 2, 4, 5, 2, 3, 9, 8, 7, 2, 4]
        check_equal([answer["choices"][0]["token_ids"]], [reference.answer(prompt, **how)])
        told = answer["kv_transfer_params"]["cctuning"]
        assert told["inference"] == inference
        if inference == "translated":
            assert told["english"] == (own if ended else None)
        # A stream tells the same in its end, whatever it is a stream of.
        events = events_of(server, "/v1/chat/completions", body | {"vllm_xargs": xargs, "stream": True})
        assert [event["kv_transfer_params"] for event in events[-1:]] == [answer["kv_transfer_params"]]
        pieces = [event["choices"][0]["delta"].get("content", "") for event in events]
        assert "".join(pieces) == answer["choices"][0]["message"]["content"]
        assert not any("kv_transfer_params" in event for event in events[:2])


def events_of(server, path, body):
    """The JSON of each event of a stream."""
    status, text = server.ask(path, body)
    assert status == 200, text
    *parts, end, rest = text.split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    return [json.loads(part.removeprefix("data: ")) for part in parts]


def test_a_completion_in_a_stream(running):
    server, reference = running
    answer = reference.answer(PROMPTS[0])
    body = {"prompt": PROMPTS[0], "max_tokens": NEW_TOKENS, "ignore_eos": True, "stream": True}
    events = events_of(server, "/v1/completions", body | {"stream_options": {"include_usage": True}})
    for event in events[-2:]:
        assert event["kv_transfer_params"]["cctuning"]["layer"] == answer.layer
    assert events[-1]["usage"]["completion_tokens"] == NEW_TOKENS


MALFORMED = {
    "misspelt": ({"cctuning_conected": 0}, {}, "cctuning_connected"),
    "no switch": ({"cctuning_connected": 2}, {}, "cctuning_connected"),
    "no text": ({"cctuning_english": 5}, {}, "cctuning_english"),
    "empty": ({"cctuning_english": " "}, {}, "cctuning_english"),
    "too long": ({"cctuning_english": [7] * LONGEST}, {}, "English prompt"),
    "no token": ({"cctuning_english": [10**6]}, {}, "1000000"),
    "both": ({"cctuning_english": "w5", "cctuning_connected": 0}, {}, "cctuning_connected"),
    "beyond": ({"cctuning_prompt_tokens": 9}, {}, "cctuning_prompt_tokens"),
    "no marker": ({}, {"prompt_logprobs": 1}, "marker"),
    "beams": ({}, {"use_beam_search": True, "n": 2}, "beam"),
    "unknown language": ({"cctuning_prompt_language": "qq"}, {}, "sw"),
    "no single message": ({"cctuning_prompt_language": "sw"}, {}, "single prompt"),
    "no room": ({"cctuning_prompt_language": "sw", "cctuning_question": "w5 " * 120}, {}, "model takes"),
    "nested": ({"cctuning": {"connected": 2}}, {}, ""),
    "streamed": ({"cctuning_connected": "no"}, {"stream": True}, "cctuning_connected"),
}


def test_malformed_requests_are_answered_and_the_next_one_too(running):
    server, reference = running
    for name, (xargs, others, named) in MALFORMED.items():
        if name == "no room" and reference.model.config.model_type == "qwen2":
            continue  # NO_WORDS
        body = {"prompt": [5, 6, 7], "max_tokens": 4, "vllm_xargs": xargs} | others
        status, answer = server.ask("/v1/completions", body)
        assert 400 <= status < 500, (name, status, answer)
        assert named in answer, name
    tokens, _ = server.complete(PROMPTS[0])
    check_equal([tokens], [reference.answer(PROMPTS[0])])
