"""Rows that do not fit into memory: read and tokenised as training comes to them, and shuffled in blocks."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

import torch
from torch.utils.data import Dataset

from cctuning.data.encoding import Example, fingerprint, training_row
from cctuning.data.formats import DataError
from cctuning.data.rows import Problem, Row
from cctuning.training.checkpoints import CheckpointError

OTHER_LANGUAGES = "other"  # those that none of the first rows has
_SERVED = 4096  # more than two batches have


class StreamedExamples(Dataset[dict[str, Any]]):
    """The examples of a training in its order, made when they are asked for; only a block is in memory.

    Sources are read from their beginning again and again, in passes. The rows of a pass come in blocks of
    `buffer_size`, which are tokenised together and shuffled by seed and pass. Where a block holds a whole
    pass, that is the order of `EpochOrder`: of the same rows in memory. Every process makes all examples, and
    takes those of its numbers. Numbers are best asked for as they rise: for one of an earlier block all is
    read again.

    Args:
        read: the rows of a pass, in order, and for a bad row what is wrong with it.
        encode: makes examples of rows, and tells what is wrong with the others.
        first: the examples of the first block, in the order of their rows.
        length: the number of examples in the training.
        buffer_size: rows of a block, the bad ones too.
        seed: of the order.
        reject: takes what is wrong with rows behind the first block, once in the first pass.

    `languages`, which the trainer sets, are those that language numbers stand for, `OTHER_LANGUAGES` last.
    """

    def __init__(
        self,
        read: Callable[[], Iterable[Row | list[Problem]]],
        encode: Callable[[list[Row]], tuple[list[Example], list[Problem]]],
        *,
        first: Sequence[Example],
        length: int,
        buffer_size: int,
        seed: int,
        reject: Callable[[list[Problem]], object],
    ) -> None:
        self.first, self.languages = first, [OTHER_LANGUAGES]
        self.seen = {example.row.language for example in first}
        self._read, self._encode, self._reject = read, encode, reject
        self._length, self._buffer_size, self._seed = length, buffer_size, seed
        self._expected: dict[str, Any] | None = None
        self.rejected = 0  # bad rows of the first pass, as far as it has come
        self._counted = 0  # blocks whose bad rows are among them
        self.served: dict[int, str] = {}  # file, row and id of the examples that were asked for last
        self._restart()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The example with this number, from 0, as the collator takes it.

        Raises `DataError` for a source that cannot be read, or leaves no row, what `reject` raises, and
        `CheckpointError` where the rows are others than a checkpoint's.
        """
        if number < self._start:
            self._restart()
        while number >= self._start + len(self._block):
            self._next_block()
        example = self._block[number - self._start]
        self.served[number] = str(example)
        if len(self.served) > _SERVED:
            del self.served[next(iter(self.served))]
        language = example.row.language
        known = language if language in self.languages else OTHER_LANGUAGES
        return training_row(example, number, self.languages.index(known))

    def state(self, number: int) -> dict[str, Any]:
        """Count and digest of the examples up to the end of the block that has example `number - 1`."""
        end, digest = next(block for block in self._ends if block[0] >= number)
        return {"count": end, "sha256": digest}

    def expect(self, state: dict[str, Any]) -> None:
        """Has the rows compared with those of a `state` as they are read."""
        self._expected = state

    def _restart(self) -> None:
        self._blocks, self._start = self._make_blocks(), 0
        self._block: list[Example] = []
        self._ends: list[tuple[int, str]] = []  # of every block so far: where it ends, and the digest there
        self._digest = hashlib.sha256()

    def _next_block(self) -> None:
        self._start += len(self._block)
        self._block = next(self._blocks)
        self.seen.update(example.row.language for example in self._block)
        self._digest.update(fingerprint(self._block)["sha256"].encode())
        end = self._start + len(self._block)
        self._ends.append((end, self._digest.hexdigest()))
        expected = self._expected
        if expected and end >= expected["count"]:
            self._expected = None
            if expected != self.state(expected["count"]):
                raise CheckpointError(
                    f"the first {expected['count']:,} rows are not those that the checkpoint was made with: "
                    "put the data back as it was, or start anew with resume=never"
                )

    def _make_blocks(self) -> Iterator[list[Example]]:
        for epoch in count():
            generator = torch.Generator().manual_seed(self._seed + epoch)
            records, made = iter(self._read()), 0
            for number in count():
                block = list(islice(records, self._buffer_size))
                if not block:
                    break
                examples, problems = self._encode([row for row in block if isinstance(row, Row)])
                problems = [problem for bad in block if isinstance(bad, list) for problem in bad] + problems
                if epoch == 0:
                    self._tell(number, problems)
                made += len(examples)
                order = torch.randperm(len(examples), generator=generator).tolist()
                yield [examples[place] for place in order]
            if not made:
                raise DataError("no row of the stream is left to learn")

    def _tell(self, number: int, problems: list[Problem]) -> None:
        """Counts the bad rows of a block of the first pass, and hands them on behind the first block."""
        if number < self._counted:
            return
        self._counted = number + 1
        self.rejected += len({(problem.file, problem.number) for problem in problems if problem.number})
        if number and problems:
            self._reject(problems)
