"""Sizes of what the connection moves, by layer: F_en against the stream that it is added to, and F beside it.

Letters: n sentences, L decoder layers, d hidden size. F (n, L, d) are a layer's outputs at the response start
of prompts in another language, F_en those of their English parallels (eq. 2 of the CC-Tuning paper).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cctuning.connection.connected import is_connected
from cctuning.connection.model import CCTuningModel
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.data.batches import map_in_batches
from cctuning.data.collate import ParallelCollator
from cctuning.data.prompts import PromptFormat
from cctuning.generation.finite import NonFiniteError
from cctuning.reporting.tables import RecordTable
from cctuning.visualization.similarity import retrieval

Outputs = NDArray[np.float64]


@dataclass(frozen=True)
class MovedLayer:
    """One layer's F_en, and how well a sentence's own F finds it. Retrieval is in [0, 1]; by chance 1 / n."""

    layer: int  # from 0
    size: float  # mean |F_en|
    size_over_first: float  # over the mean |first layer's own output| of the other languages' prompts
    differs: float  # root mean square of what differs between sentences, over that of F_en; in [0, 1]
    retrieval: float  # how often F is nearest (cosine) to its own F_en, mean over languages
    retrieval_centred: float  # the same less the mean over the sentences, on each side
    transformed: float | None  # retrieval of F·W_T; None without a Transform Matrix
    transformed_centred: float | None


@torch.no_grad()
def sublayer_outputs(
    model: Any,
    prompts: PromptFormat,
    texts: Sequence[str],
    *,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda count: None,
) -> Outputs:
    """F (n, L, d) of `texts` as prompts, in their order, before any Transform Matrix.

    A plain `model` is connected in place, without parameters, and answers as it did. Raises `NonFiniteError`
    for outputs that are not finite.
    """
    if not is_connected(model):
        model = CCTuningModel.wrap(model, ConnectionConfig(pooling="mean"))
    ids = prompts.prompts_ids(texts)
    collator = ParallelCollator(prompts.pad_token_id)

    def outputs(numbers: list[int]) -> Any:
        padded = collator.pad([ids[number] for number in numbers])
        F = model.sublayer_outputs(*(tensor.to(model.device) for tensor in padded))
        progress(len(numbers))
        return F.double().cpu()

    lengths = [len(tokens) for tokens in ids]
    F = torch.stack(map_in_batches(outputs, range(len(ids)), lengths, batch_size=batch_size))
    finite = F.isfinite().all(-1).all(-1)
    if not finite.all():
        raise NonFiniteError(model, texts[int(finite.long().argmin())], "feed-forward outputs")
    return np.asarray(F.numpy())


def transform_matrix(model: Any) -> Outputs | None:
    """W_T (d, d) with F·W_T ~ F_en (eq. 7); None where the model has none."""
    matrix = getattr(model, "transform_matrix", None)
    return None if matrix is None else np.asarray(matrix.weight.detach().double().cpu().T.numpy())


def measure_moved(
    F: Mapping[str, Outputs], F_en: Outputs, transform: Outputs | None = None
) -> list[MovedLayer]:
    """Every layer's sizes and retrieval, from F by language, n >= 2 sentences in the order of F_en."""
    first = float(np.mean([np.linalg.norm(outputs[:, 0], axis=-1).mean() for outputs in F.values()]))
    measured = []
    for layer in range(F_en.shape[1]):
        english = F_en[:, layer]
        outputs = [of_language[:, layer] for of_language in F.values()]
        moved = None if transform is None else [of_language @ transform for of_language in outputs]
        size = float(np.linalg.norm(english, axis=-1).mean())
        whole, part = float(np.square(english).sum()), float(np.square(_centred(english)).sum())
        measured.append(
            MovedLayer(
                layer=layer,
                size=size,
                size_over_first=size / first if first else float("nan"),
                differs=(part / whole) ** 0.5 if whole else 0.0,
                retrieval=_mean_retrieval(outputs, english),
                retrieval_centred=_mean_retrieval(map(_centred, outputs), _centred(english)),
                transformed=None if moved is None else _mean_retrieval(moved, english),
                transformed_centred=None
                if moved is None
                else _mean_retrieval(map(_centred, moved), _centred(english)),
            )
        )
    return measured


def moved_csv(moved: Mapping[str, Sequence[MovedLayer]]) -> str:
    """The text of moved.csv, a line a model and layer."""
    names = [field.name for field in fields(MovedLayer)]
    rows = [[name, *astuple(layer)] for name, layers in moved.items() for layer in layers]
    return RecordTable(["model", *names], rows).csv()


def _centred(vectors: Outputs) -> Outputs:
    return np.asarray(vectors - vectors.mean(0))


def _mean_retrieval(outputs: Any, english: Outputs) -> float:
    return float(np.mean([retrieval(of_language, english) for of_language in outputs]))
