"""The scheduler's part, with a scheduler that stands for vLLM's."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from cctuning.serving.vllm import scheduling
from cctuning.serving.vllm.requests import Connection


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
        return SimpleNamespace(num_prompt_tokens=len(values["prompt_token_ids"]), **values)

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


@pytest.mark.parametrize("ids", ["a", ["a"], {"a", "unknown"}, None])
def test_a_request_ends_while_its_english_prompt_is_read(ids):
    scheduler = Connected()
    scheduler.add_request(request_of("a", Connection(1, english=(8, 9))))
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
