"""vLLM with one exported model, in this process."""

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.serving.vllm.exports import NEW_TOKENS


@dataclass
class Engine:
    """vLLM with one exported model."""

    llm: Any

    @classmethod
    def start(cls, folder: Path, **settings: Any) -> "Engine":
        from vllm import LLM

        defaults = {"dtype": "float32", "enforce_eager": True, "max_model_len": 256, "max_num_seqs": 32}
        return cls(LLM(str(folder), block_size=32, disable_log_stats=False, **(defaults | settings)))

    def ask(self, prompts: list[list[int]], options: Any = None, **params: Any) -> list[Any]:
        """One output for each prompt; `options` for all, or a list."""
        from vllm import SamplingParams

        several = options if isinstance(options, list) else [options] * len(prompts)
        defaults = {"temperature": 0, "max_tokens": NEW_TOKENS, "ignore_eos": True}
        asked = [
            SamplingParams(**(defaults | params), extra_args=one and {"cctuning": one}) for one in several
        ]
        return self.llm.generate([{"prompt_token_ids": p} for p in prompts], asked, use_tqdm=False)

    def sequences(self, *args: Any, **kwargs: Any) -> list[list[int]]:
        return [list(output.outputs[0].token_ids) for output in self.ask(*args, **kwargs)]

    def metric(self, name: str) -> int:
        return sum(int(metric.value) for metric in self.llm.get_metrics() if metric.name == f"vllm:{name}")

    def stop(self) -> None:
        from vllm.distributed import cleanup_dist_env_and_memory

        self.llm.llm_engine.engine_core.shutdown()
        del self.llm
        gc.collect()
        cleanup_dist_env_and_memory()
