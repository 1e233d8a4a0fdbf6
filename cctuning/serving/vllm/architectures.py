"""The architecture table of the plug-in: which of vLLM's own models are connected, and how theirs differ."""

from dataclasses import dataclass

from cctuning.serving.vllm.errors import UnservableError

PREFIX = "CCTuning"


@dataclass(frozen=True)
class ServedArchitecture:
    """Differences of vLLM's implementation from that of transformers."""

    # Names in a decoder layer: transformers' first, then vLLM's.
    renamed: tuple[tuple[str, str], ...] = ()
    # Whether a layer returns its last sub-layer's output and the residual stream apart, to be added later.
    splits_residual: bool = True

    def name_of(self, path: str) -> str:
        """Name in vLLM of the module that transformers has at `path` of a layer."""
        return dict(self.renamed).get(path, path)


# Each is compared with transformers' `generate` by tests/serving/vllm.
SERVED: dict[str, ServedArchitecture] = dict.fromkeys(
    ("Gemma3ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"),
    ServedArchitecture(),
)


def served_architecture(name: str) -> ServedArchitecture:
    """The line of the table for a class name, with or without `CCTuning` before it.

    Raises `UnservableError` for an architecture that the plug-in was not tested with.
    """
    base = name.removeprefix(PREFIX)
    if base not in SERVED:
        raise UnservableError(
            f"{base} is not among the architectures that cctuning serves with vLLM ({', '.join(SERVED)}); "
            "`cctuning chat`, pipelines and `generate` of transformers run it connected"
        )
    return SERVED[base]
