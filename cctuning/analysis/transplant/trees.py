"""Token sequences that share their beginnings as trees, so that each beginning is read once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trees:
    """A tree of tokens for each question, or one for all: Q or 1 trees of n nodes, padded.

    A node is read after its ancestors and sees no other node. The last token of a sequence is no node: it is
    only predicted.
    """

    tokens: Tensor  # (Q, n) int64
    depths: Tensor  # (Q, n): how many ancestors a node has
    ancestors: Tensor  # (Q, n, n) bool: whether a node, second dimension, sees another, third; itself too
    # For every question, its sequences' tokens as (node that predicts it, token); node -1 is what was read
    # before the tree.
    predictions: tuple[tuple[tuple[tuple[int, int], ...], ...], ...]


def trees_of(sequences: Sequence[Sequence[Sequence[int]]]) -> Trees:
    """One tree for each list of sequences."""
    nodes: list[dict[tuple[int, ...], int]] = []
    predictions = []
    for of_question in sequences:
        known: dict[tuple[int, ...], int] = {}
        for sequence in of_question:
            for end in range(1, len(sequence)):
                known.setdefault(tuple(sequence[:end]), len(known))
        nodes.append(known)
        predictions.append(
            tuple(
                tuple((known[tuple(s[:end])] if end else -1, int(s[end])) for end in range(len(s)))
                for s in of_question
            )
        )
    most = max(map(len, nodes))
    tokens = torch.zeros(len(nodes), most, dtype=torch.long)
    depths = torch.zeros_like(tokens)
    ancestors = torch.eye(most, dtype=torch.bool).repeat(len(nodes), 1, 1)
    for tree, known in enumerate(nodes):
        for beginning, node in known.items():
            tokens[tree, node] = beginning[-1]
            depths[tree, node] = len(beginning) - 1
            if len(beginning) > 1:
                ancestors[tree, node] |= ancestors[tree, known[beginning[:-1]]]
    return Trees(tokens, depths, ancestors, tuple(predictions))


def forest_of(sequences: Sequence[Sequence[int]], nodes: int) -> Iterator[tuple[list[int], Trees]]:
    """Places in `sequences` and a tree of these; the trees have at most so many nodes, or one sequence.

    In alphabetical order, so that sequences with the same beginning meet in one tree.
    """
    order = sorted(range(len(sequences)), key=lambda place: tuple(sequences[place]))
    members: list[int] = []
    known: set[tuple[int, ...]] = set()
    for place in order:
        sequence = sequences[place]
        beginnings = {tuple(sequence[:end]) for end in range(1, len(sequence))}
        if members and len(known | beginnings) > max(nodes, len(known)):
            yield members, trees_of([[sequences[member] for member in members]])
            members, known = [], set()
        members.append(place)
        known |= beginnings
    if members:
        yield members, trees_of([[sequences[member] for member in members]])
