"""The HTTP server of vLLM with a connected model: many clients, and requests that cannot be meant."""

import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serving.vllm.exports import (
    ARCHITECTURES,
    NEW_TOKENS,
    Reference,
    check_equal,
    engine_environment,
    make_export,
    random_prompts,
)

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (make test-vllm)", allow_module_level=True)

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
        pytest.skip(
            "AutoTokenizer takes Qwen2's own class whatever the folder says, and it drops made-up words"
        )
    words = "w9 w8 w7"
    messages = [{"role": "user", "content": words}]
    body = {"messages": messages, "max_tokens": NEW_TOKENS, "ignore_eos": True, "return_token_ids": True}
    english = {"vllm_xargs": {"cctuning_english": "w5 w6"}}
    for xargs, of_prompt in (({}, None), (english, [1, 3, 5, 6, 2, 4])):
        status, answer = server.ask("/v1/chat/completions", body | xargs)
        assert status == 200, answer
        answer = json.loads(answer)
        prompt = answer["prompt_token_ids"]
        assert prompt == [1, 3, 9, 8, 7, 2, 4]
        check_equal([answer["choices"][0]["token_ids"]], [reference.answer(prompt, english=of_prompt)])


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
    "nested": ({"cctuning": {"connected": 2}}, {}, ""),
    "streamed": ({"cctuning_connected": "no"}, {"stream": True}, "cctuning_connected"),
}


def test_malformed_requests_are_answered_and_the_next_one_too(running):
    server, reference = running
    for name, (xargs, others, named) in MALFORMED.items():
        body = {"prompt": [5, 6, 7], "max_tokens": 4, "vllm_xargs": xargs} | others
        status, answer = server.ask("/v1/completions", body)
        assert 400 <= status < 500, (name, status, answer)
        assert named in answer, name
    tokens, _ = server.complete(PROMPTS[0])
    check_equal([tokens], [reference.answer(PROMPTS[0])])
