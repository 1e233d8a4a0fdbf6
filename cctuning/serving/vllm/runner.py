"""The connection in a worker: around the forward of vLLM's model runner (V1).

A step of vLLM is one forward over the tokens of many requests. In those where a prompt's last token is among
them, the sub-layer outputs there are recorded, `fuse` makes f of them, and those tokens are run again, with f
added (`narrow`). A request with an English prompt has its f in advance, so it needs no second pass.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cctuning.serving.vllm import narrow
from cctuning.serving.vllm.patches import wrap
from cctuning.serving.vllm.requests import Connection

# "narrow": only the tokens from the response start on; "full": the whole step, which costs twice the time.
SECOND_PASS = "CCTUNING_VLLM_SECOND_PASS"


@dataclass(frozen=True)
class ResponseStart:
    """A request whose response start is among the tokens of this step."""

    request_id: str
    row: int  # of the batch
    token: int  # of the step
    end: int  # behind the request's last token of the step
    tokens: tuple[int, ...]  # its prompt up to the response start; of an English one, that it is made for
    connection: Connection


Added = tuple[ResponseStart, Tensor]  # with f (d,)


def install(vllm_config: Any) -> None:
    """Wraps the model runner that is about to run the model of `vllm_config`."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    forward = ("self", "input_ids", "positions", "intermediate_tensors", "inputs_embeds", "model_kwargs")
    wrap(GPUModelRunner, "_model_forward", forward, _model_forward)
    wrap(GPUModelRunner, "sample_tokens", ("self", "grammar_output"), _sample_tokens)
    wrap(GPUModelRunner, "_on_request_state_removed", ("self", "req_id", "req_state"), _forget)
    narrow.check_signatures()


class StepState:
    """What a runner keeps from step to step.

    Attributes:
        vectors: f, and the layer that it is of, for requests whose English prompt was read.
        layers: those of the requests that were connected in this step.
    """

    def __init__(self) -> None:
        self.vectors: dict[str, tuple[Tensor, int | None]] = {}
        self.layers: dict[str, int | None] = {}


def _state(runner: Any) -> StepState | None:
    """The state of a runner; None where its model is not connected."""
    if "cctuning_state" not in vars(runner):
        connected = hasattr(runner.get_model(), "cctuning_taps")
        runner.cctuning_state = StepState() if connected else None
    state: StepState | None = runner.cctuning_state
    return state


def response_starts(runner: Any) -> list[ResponseStart]:
    """The requests of this step whose response start is among its tokens.

    True for chunks of a prompt and for requests that were taken up again after preemption, too.
    """
    batch = runner.input_batch
    rows = batch.num_reqs
    bounds = runner.query_start_loc.np[: rows + 1]
    computed = batch.num_computed_tokens_cpu[:rows]
    starts = []
    for row in (computed < batch.num_prompt_tokens[:rows]).nonzero()[0].tolist():
        request_id = batch.req_ids[row]
        request = runner.requests[request_id]
        connection = Connection.of(request)
        token = int(bounds[row]) + connection.start - int(computed[row])
        if connection.start >= int(computed[row]) and token < int(bounds[row + 1]):
            own = tuple(request.prompt_token_ids[: connection.start + 1])
            end = int(bounds[row + 1])
            starts.append(ResponseStart(request_id, row, token, end, connection.prompt or own, connection))
    return starts


def _model_forward(original: Callable[..., Any], runner: Any, *args: Any, **inputs: Any) -> Any:
    """The step's hidden states (T, d), connected at its response starts."""
    state = _state(runner)
    starts = [] if state is None else response_starts(runner)
    if state is None or not starts:
        return original(runner, *args, **inputs)
    model, device = runner.get_model(), runner.device
    taps = model.cctuning_taps
    read = [start for start in starts if start.connection.english is None]
    given: list[Added] = []
    for start in starts:
        if start.connection.english is not None:
            vector, state.layers[start.request_id] = state.vectors[start.request_id]
            given.append((start, vector))
    taps.record_at(_on(device, [start.token for start in read]))
    _add(taps, given, device)
    hidden = original(runner, *args, **inputs)
    outputs = taps.recorded(len(read))
    taps.rest()
    own = _fuse(model, state, read, outputs, device)
    if not own:
        return hidden
    if os.environ.get(SECOND_PASS, "narrow") == "full":
        _add(taps, [*own, *given], device)
        hidden = original(runner, *args, **inputs)
    else:
        narrow.run(original, runner, own, inputs, hidden)
    taps.rest()
    return hidden


def _fuse(
    model: Any, state: StepState, read: Sequence[ResponseStart], outputs: Tensor, device: Any
) -> list[Added]:
    """F of the response starts `read`, whose sub-layers gave `outputs` (B, L, d).

    Those of English prompts are kept in `state` for the requests that they serve; the others are returned.
    """
    own: list[Added] = []
    for transform in (True, False):
        rows = [number for number, start in enumerate(read) if (start.connection.serves is None) == transform]
        if not rows:
            continue
        prompts = [_on(device, read[number].tokens) for number in rows]
        made, layers = model.cctuning.addend(outputs[rows], prompts, transform=transform)
        for number, vector, layer in zip(rows, made, layers, strict=True):
            start = read[number]
            if start.connection.serves is None:
                own.append((start, vector))
                state.layers[start.request_id] = layer
            else:
                state.vectors[start.connection.serves] = (vector, layer)
    return own


def _add(taps: Any, added: Sequence[Added], device: Any) -> None:
    if added:
        tokens = _on(device, [start.token for start, _ in added])
        taps.add(torch.stack([vector for _, vector in added]), tokens)


def _on(device: Any, numbers: Sequence[int]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.long).to(device, non_blocking=True)


def _sample_tokens(original: Callable[..., Any], runner: Any, *args: Any, **kwargs: Any) -> Any:
    """The step's output, with the layers that were chosen in it."""
    result = original(runner, *args, **kwargs)
    state = _state(runner)
    if state is not None and state.layers:
        output = getattr(result, "_model_runner_output", result)  # of asynchronous scheduling
        output.cctuning_layers, state.layers = state.layers, {}
    return result


def _forget(original: Callable[..., Any], runner: Any, req_id: str, req_state: Any) -> Any:
    state = _state(runner)
    if state is not None:
        state.vectors.pop(req_id, None)
    return original(runner, req_id, req_state)
