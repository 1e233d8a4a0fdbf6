"""A model in vLLM, asked by this library, as in `cctuning evaluate engine=vllm`."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from cctuning.data.prompts import PromptFormat
from cctuning.generation.engine_model import MIXTURE, NOT_CONNECTED, EngineModel, Generated, TokenIds
from cctuning.generation.rules import stop_tokens
from cctuning.pretrained.generation_config import penalties
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import kind_of
from cctuning.pretrained.loading import load_config, load_generation_config
from cctuning.serving.options import KEY
from cctuning.tools.extras import extra


def check_servable(model: str, mode: str) -> None:
    """Raises `ValueError` where vLLM cannot ask `model`, a folder or hub name, in the mode `mode`."""
    if mode != "none" and not kind_of(model_folder(model)).exported:
        raise ValueError(
            f"engine=vllm serves exported models, and {model} is none, so inference={mode} is not had of it: "
            "name the export (cctuning fit makes it), or set engine=hf"
        )


def load_in_vllm(
    name: str,
    mode: str,
    *,
    revision: str | None = None,
    dtype: str,
    trust_remote_code: bool,
    arguments: Mapping[str, Any],
) -> "VllmModel":
    """The model called `name` in a mode of `modes.choose_mode`; `arguments` of vLLM's `LLM` count first.

    Raises as `VllmModel` does, and as `load_config`.
    """
    source: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    config, rules = load_config(name, **source), load_generation_config(name, **source)
    # Of its own, vLLM would take a model that is stored in float32 in half precision.
    stored = str(getattr(config, "dtype", None) or "auto").removeprefix("torch.")
    given = {**source, "dtype": stored if dtype == "auto" else dtype, **arguments}
    return VllmModel(name, mode, rules, given)


class VllmModel(EngineModel):
    """A model in a vLLM engine in this process, greedy and with the model's own penalties."""

    engine = "vllm"

    def __init__(
        self, model: str, mode: str, generation_config: GenerationConfig, arguments: dict[str, Any]
    ) -> None:
        """`mode` as `modes.choose_mode` gives it; `arguments` go to vLLM's `LLM`.

        Raises `ImportError` without vLLM, and `ValueError` for a penalty that it does not have.
        """
        with extra("vllm"):
            from vllm import LLM
        self.generation_config = generation_config
        self._penalties = penalties(generation_config)
        if "no_repeat_ngram_size" in self._penalties:
            raise ValueError("the model's generation_config.json sets no_repeat_ngram_size: set engine=hf")
        # A plain model is not asked about a connection.
        self._options: dict[str, Any] = {}
        self.connected = mode != "none"
        folder = model_folder(model)
        if kind_of(folder).exported:
            self._options = {"connected": self.connected}
        self._llm: Any = LLM(str(folder), **({"disable_log_stats": True} | arguments))
        config = self._llm.llm_engine.vllm_config.model_config
        self.dtype, self.positions = config.dtype, config.max_model_len

    def generate_batch(
        self, prompts: PromptFormat, ids: TokenIds, english_ids: TokenIds | None, *, max_new_tokens: int
    ) -> Generated:
        """Greedy responses, ended by the template's stop token and the model's own."""
        ends = stop_tokens(self, prompts)
        settings: dict[str, Any] = {"max_tokens": max_new_tokens, "stop_token_ids": ends, "ignore_eos": True}
        outputs = self._ask(ids, english_ids, **(settings | self._penalties))
        rows = [torch.tensor(output.outputs[0].token_ids) for output in outputs]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=prompts.pad_token_id)
        return Generated(tokens, torch.tensor([_layer(output) for output in outputs]))

    def log_likelihoods(
        self, ids: TokenIds, english_ids: TokenIds | None, option_ids: Sequence[TokenIds]
    ) -> Tensor:
        """Sums over each option's tokens behind its prompt."""
        places = [(row, column) for row, options in enumerate(option_ids) for column in range(len(options))]
        texts = [[*ids[row], *option_ids[row][column]] for row, column in places]
        outputs = self._ask(
            texts,
            english_ids and [english_ids[row] for row, _ in places],
            [len(ids[row]) for row, _ in places],
            max_tokens=1,
            prompt_logprobs=0,  # of the prompt's own tokens
        )
        scores = torch.full((len(ids), max(map(len, option_ids))), torch.nan)
        for (row, column), text, output in zip(places, texts, outputs, strict=True):
            start = len(ids[row])
            read = zip(output.prompt_logprobs[start:], text[start:], strict=True)
            scores[row, column] = sum(place[token].logprob for place, token in read)
        return scores

    def _ask(
        self,
        ids: TokenIds,
        english_ids: TokenIds | None,
        prompt_tokens: Sequence[int] | None = None,
        **settings: Any,
    ) -> list[Any]:
        from vllm import SamplingParams

        asked = []
        for number in range(len(ids)):
            options = dict(self._options)
            if english_ids is not None:
                options["english"] = list(english_ids[number])
            if options.get("connected") and prompt_tokens is not None:
                options["prompt_tokens"] = prompt_tokens[number]
            extra_args = {KEY: options} if options else None
            asked.append(SamplingParams(temperature=0, detokenize=False, extra_args=extra_args, **settings))
        inputs = [{"prompt_token_ids": list(prompt)} for prompt in ids]
        outputs: list[Any] = self._llm.generate(inputs, asked, use_tqdm=False)
        return outputs


def _layer(output: Any) -> int:
    told = (output.kv_transfer_params or {}).get(KEY, {})
    if not told.get("connected"):
        return NOT_CONNECTED
    layer = told.get("layer")
    return MIXTURE if layer is None else int(layer)
