"""The method written a second time, from its description: one row at a time, no padding, no cache, no tricks.

Nothing here imports `cctuning`. Models are plain transformers models; `decision_maker` is W_DM (d, L) and
`transform` is W_T (d, d), with F @ W_T standing in for F_en; of d + 1 rows the last is added. Of three
dimensions it is one of these for each layer.
Sequences are 1-D tensors of token ids.
Letters: B rows, P prompt tokens, R response tokens, L layers, d hidden size, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

# ----------------------------------------------------------------------------------------------------
# Where a sub-layer's output is: the module whose output is exactly what a layer adds to its residual stream.
# Read off each architecture's modeling file.

_POST_NORM = {
    "gemma2": ("post_feedforward_layernorm", "post_attention_layernorm"),
    "gemma3_text": ("post_feedforward_layernorm", "post_attention_layernorm"),
    "olmo2": ("post_feedforward_layernorm", "post_attention_layernorm"),
    "glm4": ("post_mlp_layernorm", "post_self_attn_layernorm"),
}
_OWN_NAMES = {
    "gpt_neox": ("mlp", "attention"),
    "gpt2": ("mlp", "attn"),
    "gptj": ("mlp", "attn"),
    "falcon": ("mlp", "self_attention"),
    # Bloom's modules add the residual themselves; their last linear map is the output without it.
    "bloom": ("mlp.dense_4h_to_h", "self_attention.dense"),
}


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    decoder = model.get_decoder()
    return decoder.layers if hasattr(decoder, "layers") else decoder.h


def sublayer_module(model: PreTrainedModel, layer: int, sublayer: str) -> nn.Module:
    block = layers_of(model)[layer]
    if sublayer == "block":
        return block
    kind = model.config.model_type
    feed_forward, attention = (_POST_NORM | _OWN_NAMES).get(kind, ("mlp", "self_attn"))
    return block.get_submodule(feed_forward if sublayer == "ffn" else attention)


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def recorded(model: PreTrainedModel, sublayer: str, at: int) -> Iterator[list[Tensor]]:
    """Inside the block a forward fills the list with row 0's L sub-layer outputs (d,) at token `at`."""
    outputs: list[Tensor] = []

    def record(module: nn.Module, args: Any, output: Any) -> None:
        # A copy: Falcon adds the attention output to the feed-forward output in place.
        outputs.append(_first(output)[0, at].clone())

    modules = [sublayer_module(model, layer, sublayer) for layer in range(len(layers_of(model)))]
    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def injected(model: PreTrainedModel, sublayer: str, at: int, f: Tensor, target: int = 0) -> Iterator[None]:
    """Inside the block every forward adds f (d,) to a layer's sub-layer output at token `at`."""

    def add(module: nn.Module, args: Any, output: Any) -> Any:
        tensor = _first(output)
        one_hot = torch.zeros(tensor.shape[1], 1, dtype=tensor.dtype)
        one_hot[at] = 1
        changed = tensor + one_hot * f
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = sublayer_module(model, target, sublayer).register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


# ----------------------------------------------------------------------------------------------------
# The connection


@dataclass
class Settings:
    """The options of a connection, under the names of the design."""

    pooling: str = "decision_maker"  # decision_maker | mean | random | layer
    sublayer: str = "ffn"  # ffn | attention | block
    layer: int | None = None
    temperature: float = 1.0
    hard: bool = True
    embedding: str = "last"  # last | mean
    english_gradient: bool = False
    centred: bool = False  # these two: see `statistics`
    scale: float | None = None
    statistics: tuple[Tensor, Tensor] | None = None  # mean (L, d) and scale (L,) of the outputs
    gate: str = "none"  # none | scalar | vector: see `factors`
    factors: Tensor | None = None  # of f, (1,) or (d,)
    decision_maker_norm: bool = False
    target_layer: int = 0
    monolingual_share: float = 0.0
    transform: Tensor | None = None  # W_T (d, d), for the rows whose vector is their own


def connected_outputs(model: PreTrainedModel, ids: Tensor, settings: Settings) -> Tensor:
    """F (L, d) of one sequence at its end, each layer's less its mean and times its scale where given."""
    F = sublayer_outputs(model, ids, sublayer=settings.sublayer)
    if settings.statistics is None:
        return F
    means, scales = settings.statistics
    return torch.stack([(F[layer] - means[layer]) * scales[layer] for layer in range(len(F))])


def naive_contrast(F: Tensor, english: Sequence[Tensor], own: int, layers: Sequence[int]) -> Tensor:
    """-log of what the `own`-th of distinct F_en (L, d) has of a softmax over cos / 0.1 with F (L, d)."""
    values = []
    for layer in layers:
        cosines = [F[layer] @ other[layer] / (F[layer].norm() * other[layer].norm()) for other in english]
        values.append(-torch.stack([cosine / 0.1 for cosine in cosines]).softmax(0)[own].log())
    return torch.stack(values).mean()


def measured_statistics(
    english: Sequence[Tensor], own: Sequence[Tensor], settings: Settings
) -> tuple[Tensor, Tensor]:
    """Mean (L, d) and scale (L,) from every row's F_en and F, (L, d) each, one layer and row at a time."""
    rows, layers = len(english), len(english[0])
    means, scales = torch.zeros_like(english[0]), torch.ones(layers, dtype=english[0].dtype)
    size = sum(F[settings.target_layer].norm() for F in own) / rows
    for layer in range(layers):
        if settings.centred:
            means[layer] = sum(F_en[layer] for F_en in english) / rows
        if settings.scale is not None:
            rest = sum((F_en[layer] - means[layer]).norm() for F_en in english) / rows
            scales[layer] = settings.scale * size / rest
    return means, scales


def sublayer_outputs(model: PreTrainedModel, ids: Tensor, *, sublayer: str = "ffn", at: int = -1) -> Tensor:
    """F (L, d) of one sequence at token `at`."""
    with recorded(model, sublayer, at) as outputs:
        model(input_ids=ids[None], use_cache=False)
    return torch.stack(outputs)


def prompt_embedding(model: PreTrainedModel, prompt: Tensor, embedding: str) -> Tensor:
    """e (d,): the input embedding of the prompt's last token, or the mean over its tokens."""
    vectors = model.get_input_embeddings()(prompt[None])[0]
    return vectors[-1] if embedding == "last" else vectors.mean(0)


def decision_logits(F: Tensor, e: Tensor, decision_maker: Tensor, *, norm: bool = False) -> Tensor:
    """H (L,) = mean_l(F[l] + e) @ W_DM (eq. 3), spelled out; the mean normalised over d with `norm`."""
    pooled = torch.stack([F[layer] + e for layer in range(len(F))]).mean(0)
    if norm:
        rest = pooled - pooled.mean()
        pooled = rest / (rest.square().mean() + 1e-5).sqrt()
    return pooled @ decision_maker


def gated(f: Tensor, settings: Settings) -> Tensor:
    """The product of f (d,) and the gate's factors."""
    return f if settings.factors is None else f * settings.factors


def gumbel_noise(rows: int, layers: int, dtype: torch.dtype) -> Tensor:
    """(rows, layers): what `torch.nn.functional.gumbel_softmax` draws from the default generator."""
    return -torch.empty(rows, layers, dtype=dtype).exponential_().log()


def gumbel_softmax(H: Tensor, noise: Tensor, *, temperature: float, hard: bool) -> Tensor:
    """g (L,). Hard: a one-hot vector whose gradient is the soft one's (straight-through)."""
    soft = torch.softmax((H + noise) / temperature, dim=-1)
    if not hard:
        return soft
    one_hot = nn.functional.one_hot(soft.argmax(), len(H)).to(soft.dtype)
    return one_hot + (soft - soft.detach())


def one_hot(layer: int, layers: int, dtype: torch.dtype) -> Tensor:
    return torch.eye(layers, dtype=dtype)[layer]


# ----------------------------------------------------------------------------------------------------
# Training


@dataclass
class TrainingRow:
    """x, its English parallel x_en, and the response y: each a 1-D tensor of ids. y's ids are the labels."""

    prompt: Tensor
    english: Tensor
    response: Tensor


@dataclass
class Step:
    loss: Tensor  # a scalar with its graph
    weights: Tensor  # g (B, L)
    logits: list[Tensor]  # per row (P + R, V)


def naive_training_step(
    model: PreTrainedModel,
    rows: Sequence[TrainingRow],
    decision_maker: Tensor,
    settings: Settings | None = None,
    *,
    noise: Tensor | None = None,
    weights: Tensor | None = None,
) -> Step:
    """One training step's loss (sum of the NLL of all label tokens over their number), with its graph.

    noise: Gumbel noise (B, L), None = drawn as `gumbel_softmax` on (B, L) logits would with the current seed.
    weights: g (B, L) from outside, for pooling="random".
    """
    settings = settings or Settings()
    english = []
    for row in rows:
        with torch.set_grad_enabled(settings.english_gradient):
            english.append(connected_outputs(model, row.english, settings))
    layers, dtype = len(english[0]), english[0].dtype
    if settings.monolingual_share:
        for number, value in enumerate(torch.rand(len(rows))):
            if value < settings.monolingual_share:
                with torch.no_grad():
                    own = connected_outputs(model, rows[number].prompt, settings)
                english[number] = torch.stack([F @ settings.transform for F in own])
    if noise is None and settings.pooling == "decision_maker":
        noise = gumbel_noise(len(rows), layers, dtype)

    gs, logits, losses, label_count = [], [], [], 0
    for number, (row, F_en) in enumerate(zip(rows, english, strict=True)):
        if weights is not None:
            g = weights[number]
        elif settings.pooling == "mean":
            g = torch.full((layers,), 1 / layers, dtype=dtype)
        elif settings.pooling == "layer":
            g = one_hot(settings.layer, layers, dtype)
        else:
            e = prompt_embedding(model, row.prompt, settings.embedding)
            H = decision_logits(F_en, e, decision_maker, norm=settings.decision_maker_norm)
            g = gumbel_softmax(H, noise[number], temperature=settings.temperature, hard=settings.hard)
        f = gated(sum(g[layer] * F_en[layer] for layer in range(layers)), settings)

        start = len(row.prompt) - 1
        tokens = torch.cat([row.prompt, row.response])
        with injected(model, settings.sublayer, start, f, settings.target_layer):
            out = model(input_ids=tokens[None], use_cache=False).logits[0]
        # The output at token t predicts token t + 1; the labels are the response tokens.
        predictions = torch.log_softmax(out[start:-1], dim=-1)
        losses += [-predictions[position, token] for position, token in enumerate(row.response)]
        label_count += len(row.response)
        gs.append(g)
        logits.append(out)
    return Step(loss=torch.stack(losses).sum() / label_count, weights=torch.stack(gs), logits=logits)


def gradients(loss: Tensor, parameters: dict[str, nn.Parameter | Tensor]) -> dict[str, Tensor]:
    """By name; zero where the loss does not depend on a parameter."""
    values = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if value is None else value
        for (name, parameter), value in zip(parameters.items(), values, strict=True)
    }


# ----------------------------------------------------------------------------------------------------
# Inference


@torch.no_grad()
def inference_vector(
    model: PreTrainedModel,
    decision_maker: Tensor,
    prompt: Tensor,
    *,
    transform: Tensor | None = None,
    english: Tensor | None = None,
    settings: Settings | None = None,
) -> tuple[Tensor, Tensor]:
    """f (d,) and g (L,), from x through W_T (monolingual) or from x_en (bilingual), without Gumbel noise."""
    settings = settings or Settings()
    if english is not None:
        stand_in = connected_outputs(model, english, settings)
    else:
        F = connected_outputs(model, prompt, settings)
        d, predicted = F.shape[-1], []
        for layer in range(len(F)):
            W = transform[layer] if transform.dim() == 3 else transform
            predicted.append(F[layer] @ W[:d] + W[d:].sum(0))
        stand_in = torch.stack(predicted)
    layers, dtype = len(stand_in), stand_in.dtype
    if settings.pooling == "mean":
        g = torch.full((layers,), 1 / layers, dtype=dtype)
    elif settings.pooling == "layer":
        g = one_hot(settings.layer, layers, dtype)
    else:
        e = prompt_embedding(model, prompt, settings.embedding)
        H = decision_logits(stand_in, e, decision_maker, norm=settings.decision_maker_norm)
        g = (
            one_hot(int(H.argmax()), layers, dtype)
            if settings.hard
            else (H / settings.temperature).softmax(-1)
        )
    return gated(g @ stand_in, settings), g


@dataclass
class Generation:
    tokens: Tensor  # (new,)
    logits: Tensor  # (new, V), of the tokens' predictions
    weights: Tensor  # g (L,)

    @property
    def margin(self) -> float:
        """The smallest gap between best and second logit; in float32, engines may differ below ~1e-4."""
        best = self.logits.topk(2, dim=-1).values
        return float((best[:, 0] - best[:, 1]).min())


@torch.no_grad()
def _greedy(
    model: PreTrainedModel,
    decision_maker: Tensor,
    prompt: Tensor,
    new_tokens: int,
    settings: Settings | None,
    **source: Tensor,
) -> Generation:
    settings, start = settings or Settings(), len(prompt) - 1
    sequence, logits = prompt, []
    for _ in range(new_tokens):
        f, g = inference_vector(model, decision_maker, sequence[: start + 1], settings=settings, **source)
        with injected(model, settings.sublayer, start, f, settings.target_layer):
            logits.append(model(input_ids=sequence[None], use_cache=False).logits[0, -1])
        sequence = torch.cat([sequence, logits[-1].argmax()[None]])
    return Generation(tokens=sequence[len(prompt) :], logits=torch.stack(logits), weights=g)


def naive_monolingual_generate(
    model: PreTrainedModel,
    decision_maker: Tensor,
    transform: Tensor,
    prompt: Tensor,
    max_new_tokens: int,
    settings: Settings | None = None,
) -> Generation:
    """Greedy, two full prefills for every new token: one reads F at the prompt's end, one adds f there."""
    return _greedy(model, decision_maker, prompt, max_new_tokens, settings, transform=transform)


def naive_bilingual_generate(
    model: PreTrainedModel, decision_maker: Tensor, prompt: Tensor, english: Tensor, max_new_tokens: int
) -> Generation:
    """Greedy, with F_en from the real x_en in every step."""
    return _greedy(model, decision_maker, prompt, max_new_tokens, None, english=english)


def naive_generate(
    model: PreTrainedModel,
    prompt: Tensor,
    f: Tensor,
    settings: Settings | None = None,
    **generate_arguments: Any,
) -> Any:
    """transformers' own `generate` of one row without a cache, f added at the prompt's end in every forward.

    For beam search and sampling, whose search is not ours to write again.
    """
    settings = settings or Settings()
    with injected(model, settings.sublayer, len(prompt) - 1, f):
        return model.generate(
            input_ids=prompt[None],
            attention_mask=torch.ones_like(prompt)[None],
            use_cache=False,
            **generate_arguments,
        )


@torch.no_grad()
def naive_log_likelihoods(
    model: PreTrainedModel,
    prompt: Tensor,
    response: Tensor,
    f: Tensor | None,
    settings: Settings | None = None,
) -> Tensor:
    """(R,) log p(response token | before it), f added at the prompt's last token (None: not connected)."""
    settings = settings or Settings()
    start = len(prompt) - 1
    f = torch.zeros(model.config.hidden_size, dtype=model.dtype) if f is None else f
    with injected(model, settings.sublayer, start, f):
        logits = model(input_ids=torch.cat([prompt, response])[None], use_cache=False).logits[0]
    log_probabilities = torch.log_softmax(logits[start:-1], dim=-1)
    return log_probabilities[torch.arange(len(response)), response]
