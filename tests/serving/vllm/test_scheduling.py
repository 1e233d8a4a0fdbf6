"""The scheduler's part, with a scheduler that stands for vLLM's."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from cctuning.serving.vllm import scheduling
from cctuning.serving.vllm.requests import Connection, Translation
from tests.tiny import tiny_tokenizer


class Scheduler:
    """Takes requests, and ends those that it is told of."""

    def __init__(self):
        self.requests, self.finished_req_ids = {}, set()

    def add_request(self, request):
        self.requests[request.request_id] = request

    def update_from_output(self, ended, model_runner_output):
        outputs = []
        for name in ended:
            transfer, encoder = self._free_request(self.requests.pop(name))
            outputs.append(SimpleNamespace(request_id=name, kv_transfer_params=transfer))
            assert encoder is None
        return {0: SimpleNamespace(outputs=outputs, finished_requests=set(ended))}

    def finish_requests(self, ids, status):
        names = [*self.requests] if ids is None else [ids] if isinstance(ids, str) else ids
        return [self.requests.pop(name) for name in names if name in self.requests]

    def _free_request(self, request):
        return None, None


class Connected(scheduling.ConnectedScheduling, Scheduler):
    pass


def request_of(name, connection=None, tokens=(5, 6, 7)):
    params = SimpleNamespace(extra_args=connection and connection.as_extra_args())
    return SimpleNamespace(
        request_id=name,
        prompt_token_ids=list(tokens),
        num_prompt_tokens=len(tokens),
        sampling_params=params,
        client_index=0,
        arrival_time=1.0,
        cache_salt="salt",
        priority=2,
        _block_hasher="hasher",
    )


@pytest.fixture(autouse=True)
def vllm(monkeypatch):
    """The two names of vLLM that make a request."""

    def make(**values):
        tokens, hasher = len(values["prompt_token_ids"]), values["block_hasher"]
        return SimpleNamespace(num_prompt_tokens=tokens, _block_hasher=hasher, **values)

    modules = {
        "vllm": {"SamplingParams": SimpleNamespace},
        "vllm.v1": {},
        "vllm.v1.request": {"Request": make},
    }
    for name, contents in modules.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)


def step(scheduler, *ended, layers=None):
    outputs = scheduler.update_from_output(ended, SimpleNamespace(cctuning_layers=layers or {}))
    return {one.request_id: one.kv_transfer_params for one in outputs[0].outputs}, outputs[
        0
    ].finished_requests


def test_the_last_output_says_what_was_connected():
    scheduler = Connected()
    scheduler.add_request(request_of("a"))
    scheduler.add_request(request_of("b", Connection(-1)))
    assert step(scheduler, layers={"a": 2}) == ({}, set())
    told, _ = step(scheduler, "a", "b")
    assert told["a"]["cctuning"] == {"connected": True, "inference": "monolingual", "layer": 2}
    assert told["b"]["cctuning"] == {"connected": False}
    assert scheduler.cctuning_layers == {}


def test_an_english_prompt_is_read_first_and_not_shown():
    scheduler = Connected()
    scheduler.add_request(request_of("a", Connection(1, english=(8, 9))))
    (english_id,) = scheduler.requests
    english = scheduler.requests[english_id]
    assert english_id != "a"
    assert english.prompt_token_ids == [8, 9]
    assert english.sampling_params.max_tokens == 1
    assert (english.cache_salt, english.priority, english.block_hasher) == ("salt", 2, "hasher")
    assert Connection.of(english) == Connection(1, serves="a", prompt=(5, 6))
    assert step(scheduler) == ({}, set())
    assert [*scheduler.requests] == [english_id]
    assert step(scheduler, english_id) == ({}, set())
    assert [*scheduler.requests] == ["a"]
    told, ended = step(scheduler, "a", layers={"a": 0})
    assert told["a"]["cctuning"] == {"connected": True, "inference": "bilingual", "layer": 0}
    assert ended == {"a"}


@pytest.mark.parametrize(
    ("written", "stop", "longest", "english"),
    [
        ("Capital of Kenya?", True, 100, "Capital of Kenya?"),
        ("Capital of Kenya?", False, 100, None),  # it does not end
        ("Capital of Kenya?", True, 5, None),  # there is no room for it
        ("", True, 100, ""),
    ],
)
def test_a_prompt_is_translated_then_read_in_english(monkeypatch, written, stop, longest, english):
    tokenizer = tiny_tokenizer()
    monkeypatch.setattr(Connected, "_tokenizer", lambda self: tokenizer)
    scheduler = Connected()
    settings = SimpleNamespace(hf_config=SimpleNamespace(cctuning={}), max_model_len=longest)
    scheduler.vllm_config = SimpleNamespace(model_config=settings)
    asked = Translation((8, 9), (1,), 64, {"repetition_penalty": 1.5})
    request = request_of("a", Connection(2, translation=asked))
    params = request.sampling_params
    scheduler.add_request(request)
    ((own_id, own),) = scheduler.requests.items()  # what asks for the translation is its own English
    of_own = Connection(1, serves="a-cctuning-translation", prompt=(8, 9))
    assert (own.prompt_token_ids, Connection.of(own), own.sampling_params.max_tokens) == ([8, 9], of_own, 1)
    assert step(scheduler, own_id) == ({}, set())
    ((first_id, first),) = scheduler.requests.items()
    assert (first.prompt_token_ids, Connection.of(first)) == ([8, 9], Connection(1, english=(8, 9)))
    given = first.sampling_params
    assert (given.stop_token_ids, given.max_tokens, given.repetition_penalty) == ([1], 64, 1.5)
    first.output_token_ids = tokenizer(written, add_special_tokens=False)["input_ids"] + [1] * stop
    assert step(scheduler, first_id) == ({}, set())
    if english is not None:
        ((english_id, second),) = scheduler.requests.items()
        chat = [{"role": "user", "content": written}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        assert second.prompt_token_ids == ids
        assert Connection.of(second) == Connection(len(ids) - 1, serves="a", prompt=(5, 6, 7))
        assert step(scheduler, english_id) == ({}, set())
    assert [*scheduler.requests] == ["a"]
    assert params.extra_args == Connection(2, translation=asked).as_extra_args()  # which others may share
    told, _ = step(scheduler, "a", layers={"a": 1} if english is not None else {})
    layer = {} if english is None else {"layer": 1}
    expected = {"connected": english is not None, "inference": "translated", "english": english, **layer}
    assert told["a"]["cctuning"] == expected


@pytest.mark.parametrize("ids", ["a", ["a"], {"a", "unknown"}, None])
@pytest.mark.parametrize("wanted", [{"english": (8, 9)}, {"translation": Translation((8, 9), (1,), 64, {})}])
def test_a_request_ends_while_its_english_prompt_is_read(ids, wanted):
    scheduler = Connected()
    scheduler.add_request(request_of("a", Connection(1, **wanted)))
    ended = scheduler.finish_requests(ids, "aborted")
    assert [request.request_id for request in ended] == ["a"]
    assert ended[0].status == "aborted"
    assert (scheduler.requests, scheduler.cctuning_held) == ({}, {})
    assert "a" in scheduler.finished_req_ids  # so that the workers forget its vector


def test_what_is_connected_is_not_cached_and_not_taken_from_the_cache():
    cached, found = [], []

    class Coordinator:
        def find_longest_cache_hit(self, hashes, most):
            found.append(most)

    coordinator = Coordinator()
    manager = SimpleNamespace(coordinator=coordinator)

    def cache(coordinator, request, computed):
        cached.append(computed)

    def lookup(manager, request):
        manager.coordinator.find_longest_cache_hit("hashes", 9)

    cases = [
        (request_of("a", tokens=range(8)), 7),
        (request_of("b", Connection(4), tokens=range(8)), 4),
        (request_of("c", Connection(-1), tokens=range(8)), 9),
        (request_of("d", Connection(7, serves="a"), tokens=range(8)), 9),
    ]
    for request, _ in cases:
        scheduling._cache_blocks(cache, coordinator, request, 9)
        scheduling._get_computed_blocks(lookup, manager, request)
    limits = [limit for _, limit in cases]
    assert (cached, found) == (limits, limits)
    scheduling._cache_blocks(cache, coordinator, cases[0][0], 3)
    assert cached[-1] == 3
