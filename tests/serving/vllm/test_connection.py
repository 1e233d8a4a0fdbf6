"""The connection in vLLM's hands gives the f that the exported model gives."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cctuning import ConnectionConfig
from cctuning.serving.vllm.connection import ServedConnection

D, L, ROWS = 6, 3, 6


def served(*, transform=None, **settings):
    """With random weights, around an embedding."""
    torch.manual_seed(0)
    embedding = nn.Embedding(20, D)
    config = SimpleNamespace(
        cctuning={
            "connection": vars(ConnectionConfig(**settings)),
            "paths": {"layers": "layers", "record": "mlp", "inject": ""},
            "response_marker": [1],
            "hidden_size": D,
            **(transform or {}),
        }
    )
    factory = {"dtype": torch.float32, "device": torch.device("cpu")}
    connection = ServedConnection(config, [None] * L, embedding, factory).eval()
    for tensor in connection.state_dict().values():
        tensor.normal_()
    return connection, embedding


@pytest.mark.parametrize("transform", [True, False])
@pytest.mark.parametrize("mean_embedding", [True, False])
@pytest.mark.parametrize("options", [{}, {"centred": True, "scale": 0.5, "gate": "vector"}])
@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"transform_bias": True},
        {"transform_per_layer": True, "transform_bias": True},
        {"transform_per_layer": True, "transform_rank": 2},
    ],
    ids=str,
)
def test_the_vector_of_the_equations(transform, mean_embedding, options, kind):
    embedding_kind = "mean" if mean_embedding else "last"
    connection, embedding = served(embedding=embedding_kind, transform=kind, **options)
    outputs = 5 * torch.randn(ROWS, L, D)
    prompts = [torch.randint(20, (length,)) for length in (1, 5, 3, 9, 2, 4)]
    vectors, layers = connection.addend(outputs, prompts, transform=transform)
    for row, prompt in enumerate(prompts):
        seen = outputs[row]
        if options:
            statistics = connection.output_statistics
            seen = (seen - statistics.mean) * statistics.scale[:, None]
        if transform:
            rows = []
            for number, vector in enumerate(seen):
                for weight in connection.transform_matrix.factors:
                    vector = (weight[number] if weight.dim() == 3 else weight) @ vector
                bias = connection.transform_matrix.bias
                bias = 0 if bias is None else bias[number] if bias.dim() == 2 else bias
                rows.append(vector + bias)
            seen = torch.stack(rows)
        e = embedding(prompt).mean(0) if mean_embedding else embedding(prompt[-1])
        layer = int(((seen.mean(0) + e) @ connection.decision_maker.weight.T).argmax())
        assert layers[row] == layer
        factors = connection.connection_gate.weight if options else 1
        torch.testing.assert_close(vectors[row], seen[layer] * factors)
    assert len(set(layers)) > 1


def test_a_mixture_has_no_layer():
    connection, _ = served(pooling="mean")
    assert connection.decision_maker is None
    outputs = torch.randn(1, L, D)
    vectors, layers = connection.addend(outputs, [torch.tensor([3])], transform=False)
    torch.testing.assert_close(vectors, outputs.mean(1))
    assert layers == [None]


def test_only_the_connections_own_weights_are_in_it():
    connection, _ = served()
    assert {*connection.state_dict()} == {"decision_maker.weight", "transform_matrix.weight"}
