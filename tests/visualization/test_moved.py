"""What the connection moves: sizes and retrieval against loops, outputs against hooks."""

import copy
import csv
import math

import numpy as np
import pytest
import torch

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.data.prompts import PromptFormat
from cctuning.transform.affine import transform_of
from cctuning.visualization.moved import measure_moved, moved_csv
from cctuning.visualization.representations import sublayer_outputs
from tests.models import build, word_tokenizer


def norm(x):
    return math.sqrt(math.fsum(x * x))


def hits(a, b):
    """How often the nearest row of b to a row of a is the one in its place, by loops."""
    found = 0
    for i, row in enumerate(a):
        cosines = [math.fsum(row * other) / norm(row) / norm(other) for other in b]
        found += cosines.index(max(cosines)) == i
    return found / len(a)


def less_mean(rows):
    return [row - sum(rows) / len(rows) for row in rows]


@pytest.mark.parametrize(("matrix_rows", "each"), [(0, False), (5, False), (6, False), (6, True)])
def test_against_loops(matrix_rows, each):
    rng = np.random.default_rng(1)
    n, layers, d = 7, 3, 5
    F_en = rng.normal(size=(n, layers, d)) + 1
    F = {
        language: F_en + scale * rng.normal(size=(n, layers, d)) for language, scale in (("sw", 1), ("ru", 2))
    }
    shape = (layers, matrix_rows, d) if each else (matrix_rows, d)
    transform = torch.from_numpy(rng.normal(size=shape)) if matrix_rows else None
    first = np.mean([norm(row[0]) for own in F.values() for row in own])
    target = [2 * own[:, 0] for own in F.values()]
    for layer, one in enumerate(measure_moved(F, F_en, transform, target=target)):
        english = list(F_en[:, layer])
        size = sum(map(norm, english)) / n
        part = sum(norm(row) ** 2 for row in less_mean(english)) / sum(norm(row) ** 2 for row in english)
        own = [list(outputs[:, layer]) for outputs in F.values()]
        assert one.layer == layer
        assert one.size == pytest.approx(size)
        assert one.size_over_first == pytest.approx(size / first / 2)
        assert one.differs == pytest.approx(math.sqrt(part))
        assert one.retrieval == pytest.approx(sum(hits(rows, english) for rows in own) / 2)
        centred = [hits(less_mean(rows), less_mean(english)) for rows in own]
        assert one.retrieval_centred == pytest.approx(sum(centred) / 2)
        if transform is None:
            assert one.transformed is one.transformed_centred is None
        else:
            matrix = (transform[layer] if each else transform).numpy()
            W, bias = matrix[:d], matrix[d:].sum(0)
            moved = [[row @ W + bias for row in rows] for rows in own]
            assert one.transformed == pytest.approx(sum(hits(rows, english) for rows in moved) / 2)


def test_a_common_vector_differs_in_nothing_and_retrieves_by_chance():
    same = np.ones((4, 1, 3))
    [one] = measure_moved({"sw": same}, same, target=[same[:, 0]])
    assert (one.differs, one.retrieval, one.size_over_first) == (0, 0.25, 1)


def test_outputs_of_a_plain_model_are_its_layers_own():
    model, prompts, seen = build("llama"), PromptFormat(word_tokenizer()), []
    texts = ["w5 w6", "w7", "w8 w9 w10 w11"]
    for layer in model.model.layers:
        layer.mlp.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0, -1]))
    wanted = []
    for ids in prompts.prompts_ids(texts):
        seen.clear()
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits
        wanted.append(torch.stack(seen))
    counts = []
    found = sublayer_outputs(model, prompts, texts, batch_size=2, progress=counts.append)
    F = torch.stack(wanted).numpy()
    assert np.allclose(found.F, F, rtol=1e-9) and np.allclose(found.target, F[:, 0], rtol=1e-9)
    assert sum(counts) == 3
    assert transform_of(model) is None
    with torch.no_grad():
        assert torch.equal(model(torch.tensor([ids])).logits, logits)  # it answers as it did


def test_outputs_are_centred_and_scaled_as_they_enter_the_connection():
    model, prompts = build("llama"), PromptFormat(word_tokenizer())
    texts = ["w5 w6", "w7", "w8 w9 w10 w11"]
    raw = sublayer_outputs(copy.deepcopy(model), prompts, texts)
    model = CCTuningModel.wrap(model, ConnectionConfig(centred=True, scale=0.5))
    mean, scale = model.output_statistics.mean.normal_(), model.output_statistics.scale.uniform_()
    found = sublayer_outputs(model, prompts, texts)
    assert np.allclose(found.F, (raw.F - mean.numpy()) * scale.numpy()[:, None], rtol=1e-9)
    assert np.array_equal(found.target, raw.target)


def test_the_csv_has_a_line_a_model_and_layer():
    F = np.random.default_rng(0).normal(size=(3, 2, 4))
    lines = list(
        csv.DictReader(moved_csv({"base": measure_moved({"sw": F}, F, target=[F[:, 0]])}).splitlines())
    )
    assert [(line["model"], line["layer"], line["transformed"]) for line in lines] == [
        ("base", "0", ""),
        ("base", "1", ""),
    ]
    assert float(lines[1]["retrieval"]) == 1
