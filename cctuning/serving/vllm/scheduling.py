"""The connection in the engine: the scheduler, and what its prefix cache may keep.

A token from the response start on was read with f, so its keys and values are those of this request alone.
Another request's prompt may hold the same tokens, where they are ordinary ones: such blocks are neither kept
nor taken from the cache.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import cache
from typing import Any

from cctuning.serving.options import KEY
from cctuning.serving.vllm import translation
from cctuning.serving.vllm.patches import check_signature, wrap
from cctuning.serving.vllm.requests import Connection, Translation


def plain_tokens(request: Any) -> int | None:
    """How many tokens of a request are read as in any other one's prompt; None for all."""
    connection = Connection.of(request)
    return None if connection.start < 0 or connection.serves else connection.start


def _cache_blocks(original: Callable[..., Any], coordinator: Any, request: Any, computed: int) -> Any:
    limit = plain_tokens(request)
    return original(coordinator, request, computed if limit is None else min(computed, limit))


def _get_computed_blocks(original: Callable[..., Any], manager: Any, request: Any) -> Any:
    limit = plain_tokens(request)
    if limit is None:
        return original(manager, request)
    coordinator = manager.coordinator
    find = coordinator.find_longest_cache_hit

    def find_plain(hashes: Any, most: int) -> Any:
        return find(hashes, min(most, limit))

    coordinator.find_longest_cache_hit = find_plain  # the instance's own, before its class's
    try:
        return original(manager, request)
    finally:
        del coordinator.find_longest_cache_hit


class ConnectedScheduling:
    """Mixin before a scheduler of vLLM's: English prompts first; the last output tells the chosen layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cctuning_layers: dict[str, int | None] = {}
        # By the id of one that is read before it: that one, and the request that waits for it.
        self.cctuning_held: dict[str, tuple[Any, Any]] = {}

    def add_request(self, request: Any) -> None:
        """Takes a request in; one with an English prompt once that was read, or first was translated."""
        connection = Connection.of(request)
        if connection.translation is not None:
            self._hold(translation_request(request, connection.translation), request)
        elif connection.english is not None:
            self._hold(english_request(request, connection, connection.english), request)
        else:
            super().add_request(request)  # type: ignore[misc]

    def _hold(self, first: Any, request: Any) -> None:
        self.cctuning_held[first.request_id] = first, request
        self.add_request(first)  # one that is connected itself waits for its own English prompt

    def _go_on(self, first: Any, request: Any) -> None:
        """Takes up `request` where what was to be read `first` has ended."""
        connection = Connection.of(request)
        if connection.translation is None:
            super().add_request(request)  # type: ignore[misc]
            return
        own = translation.own_translation(self.vllm_config.model_config, self._tokenizer)
        longest = self.vllm_config.model_config.max_model_len
        connection = translation.translated(connection, list(first.output_token_ids), own, longest)
        params = copy(request.sampling_params)  # which the requests of n > 1 share
        params.extra_args = params.extra_args | connection.as_extra_args()
        request.sampling_params = params
        self.add_request(request)

    def _tokenizer(self) -> Any:
        from vllm.tokenizers.registry import cached_tokenizer_from_config

        return cached_tokenizer_from_config(self.vllm_config.model_config)

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> Any:
        """The outputs of a step, without those of translations and English prompts."""
        self.cctuning_layers |= getattr(model_runner_output, "cctuning_layers", {})
        before = set(self.cctuning_held)
        outputs = super().update_from_output(scheduler_output, model_runner_output)  # type: ignore[misc]
        if not before:
            return outputs
        for of_client in outputs.values():
            of_client.outputs = [one for one in of_client.outputs if one.request_id not in before]
            if of_client.finished_requests:
                of_client.finished_requests -= before
        for first_id in before:
            waiting = {request.request_id for _, request in self.cctuning_held.values()}
            if first_id in self.cctuning_held and first_id not in {*self.requests, *waiting}:
                self._go_on(*self.cctuning_held.pop(first_id))
        return outputs

    def finish_requests(self, request_ids: str | Iterable[str] | None, finished_status: Any) -> list[Any]:
        """Ends requests from outside, those that wait with what they wait for."""
        ids = {request_ids} if isinstance(request_ids, str) else request_ids
        wanted = None if ids is None else set(ids)
        ended = []
        for first_id, (_, request) in [*self.cctuning_held.items()]:
            if first_id in self.cctuning_held and (wanted is None or request.request_id in wanted):
                del self.cctuning_held[first_id]
                self.finish_requests(first_id, finished_status)  # with what it waits for itself
                request.status = finished_status
                self.finished_req_ids.add(request.request_id)  # the workers forget its f
                ended.append(request)
        return ended + super().finish_requests(wanted, finished_status)  # type: ignore[misc]

    requests: dict[str, Any]
    finished_req_ids: set[str]
    vllm_config: Any

    def _free_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        transfer, *others = super()._free_request(request, *args, **kwargs)  # type: ignore[misc]
        connection = Connection.of(request)
        told: dict[str, Any] = {"connected": connection.start >= 0}
        if told["connected"]:
            told["inference"] = "monolingual" if connection.english is None else "bilingual"
            told["layer"] = self.cctuning_layers.pop(request.request_id, None)
        if connection.translated is not None:
            told["inference"] = "translated"
            told["english"] = connection.translated if told["connected"] else None
        return ({**(transfer or {}), KEY: told}, *others)


def english_request(request: Any, connection: Connection, english: Sequence[int]) -> Any:
    """The request that reads the English prompt of `request`: one token long, and never shown."""
    read = Connection(
        len(english) - 1,
        serves=request.request_id,
        prompt=tuple(request.prompt_token_ids[: connection.start + 1]),
    )
    return _request_before(request, "english", english, read, max_tokens=1)


def translation_request(request: Any, asked: Translation) -> Any:
    """The request that asks for the English of `request`, greedily, and is its own English; never shown."""
    ends = {"stop_token_ids": list(asked.stops), "max_tokens": asked.limit}
    own = Connection(len(asked.prompt) - 1, english=asked.prompt)
    return _request_before(request, "translation", asked.prompt, own, **(ends | asked.penalties))


def _request_before(
    request: Any, name: str, prompt: Sequence[int], connection: Connection, **settings: Any
) -> Any:
    """A request of the scheduler's own, which comes before `request` and shares its cache and priority."""
    from vllm import SamplingParams
    from vllm.v1.request import Request

    extra_args = connection.as_extra_args()
    return Request(
        request_id=f"{request.request_id}-cctuning-{name}",
        prompt_token_ids=list(prompt),
        sampling_params=SamplingParams(temperature=0, detokenize=False, extra_args=extra_args, **settings),
        pooling_params=None,
        client_index=request.client_index,
        arrival_time=request.arrival_time,
        cache_salt=request.cache_salt,
        priority=request.priority,
        block_hasher=request._block_hasher,
    )


@cache
def _connected(base: type) -> type:
    return type(f"Connected{base.__name__}", (ConnectedScheduling, base), {"__module__": __name__})


def connected_scheduler(*, vllm_config: Any, **kwargs: Any) -> Any:
    """The scheduler that vLLM would take, connected; `scheduler_cls` of a connected model."""
    from vllm.v1.core import kv_cache_coordinator, kv_cache_manager
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler

    coordinator, manager = kv_cache_coordinator.KVCacheCoordinator, kv_cache_manager.KVCacheManager
    wrap(coordinator, "cache_blocks", ("self", "request", "num_computed_tokens"), _cache_blocks)
    wrap(manager, "get_computed_blocks", ("self", "request"), _get_computed_blocks)
    for name, parameters in {
        "add_request": ("self", "request"),
        "update_from_output": ("self", "scheduler_output", "model_runner_output"),
        "finish_requests": ("self", "request_ids", "finished_status"),
        "_free_request": ("self", "request"),
    }.items():
        check_signature(Scheduler, name, parameters)
    base = AsyncScheduler if vllm_config.scheduler_config.async_scheduling else Scheduler
    return _connected(base)(vllm_config=vllm_config, **kwargs)
