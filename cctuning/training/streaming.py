"""Rows that do not fit into memory: read and tokenised as training comes to them, and shuffled in blocks."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset

from cctuning.data.encoding import Example, fingerprint, training_row
from cctuning.data.formats import DataError
from cctuning.data.rows import Problem, Row
from cctuning.training.checkpoints import CheckpointError

OTHER_LANGUAGES = "other"  # those that none of the first rows has
_SERVED = 4096  # more than two batches have


class _Made(NamedTuple):
    """What became of a block of rows: all that is needed to pass it without tokenising it again."""

    size: int  # examples
    rejected: list[int]  # places of the rows that could not be tokenised, in the first pass


class _Block(NamedTuple):
    """Rows that are shuffled together, and what was wrong with others as they were read."""

    epoch: int
    number: int  # in its pass
    rows: list[Row]
    problems: list[Problem]
    generator: torch.Generator  # of the pass


class StreamedExamples(Dataset[dict[str, Any]]):
    """The examples of a training in its order, made when they are asked for; only a block is in memory.

    Sources are read from their beginning again and again, in passes. The rows of a pass come in blocks of
    `buffer_size`, which are tokenised together and shuffled by seed and pass. Where a block holds a whole
    pass, that is the order of `EpochOrder`: of the same rows in memory. Every process makes all examples, and
    takes those of its numbers. Numbers are best asked for as they rise: for one of an earlier block all is
    read again. Blocks that were made before are then passed without being tokenised.

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
        self._made: list[_Made] = []  # of every block so far, of all passes
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
        while number >= self._end:
            self._next_block(number)
        example = self._block[number - self._start]
        self.served[number] = str(example)
        if len(self.served) > _SERVED:
            del self.served[next(iter(self.served))]
        language = example.row.language
        known = language if language in self.languages else OTHER_LANGUAGES
        return training_row(example, number, self.languages.index(known))

    def state(self, number: int) -> dict[str, Any]:
        """What is known of the rows up to the end of the block that has example `number - 1`.

        The count of examples, a digest of the texts that they are made of, one of the tokens of the last
        block, and what became of every block.
        """
        place = next(place for place, (end, _, _) in enumerate(self._ends) if end >= number)
        end, texts, tokens = self._ends[place]
        return {"count": end, "texts": texts, "tokens": tokens, "blocks": self._made[: place + 1]}

    def expect(self, state: dict[str, Any]) -> None:
        """Has the rows compared with those of a `state` as they are read, and those before it not tokenised.

        An older version's states have a digest of all tokens instead: then all are, and none is compared.
        """
        if "blocks" in state:
            blocks = [_Made(*made) for made in state["blocks"]]
            self._expected = {**state, "blocks": blocks}
            self._made = blocks[:-1]  # the last one is tokenised again: so another tokenizer is found too
            self._restart()

    def _restart(self) -> None:
        self._blocks = self._read_blocks()
        self._start = self._end = 0
        self._block: list[Example] = []
        self._ends: list[tuple[int, str, str]] = []  # of every block so far: where it ends, digests there

    def _next_block(self, number: int) -> None:
        """Comes to the next block, and tokenises it unless it is known to end before example `number`."""
        block, place = next(self._blocks), len(self._ends)
        made = self._made[place] if place < len(self._made) else None
        if made is not None and self._end + made.size <= number:
            examples: list[Example] = []
            self._pass_by(block, made)
        else:
            examples, problems = self._encode(block.rows)
            made = _Made(len(examples), _places(block.rows, problems) if block.epoch == 0 else [])
            self._made[place : place + 1] = [made]
            self._take_note(block, examples, problems)
        order = torch.randperm(made.size, generator=block.generator).tolist()
        self._block = [examples[place] for place in order] if examples else []
        self._start, self._end = self._end, self._end + made.size
        texts = _digest_of_texts(self._ends[-1][1] if self._ends else "", block.rows)
        self._ends.append((self._end, texts, fingerprint(self._block)["sha256"]))
        self._compare()

    def _pass_by(self, block: _Block, made: _Made) -> None:
        """Tells of a block of the first pass what is told of its rows, which are not tokenised again."""
        if block.epoch == 0:
            rejected = [block.rows[place] for place in made.rejected]
            examples, problems = self._encode(rejected) if rejected else ([], [])
            kept = set(range(len(block.rows))) - set(made.rejected)
            self.seen.update(block.rows[place].language for place in kept)
            self._take_note(block, examples, problems)

    def _take_note(self, block: _Block, examples: Sequence[Example], problems: list[Problem]) -> None:
        """Takes note of languages, and in the first pass of bad rows."""
        self.seen.update(example.row.language for example in examples)
        if block.epoch == 0:
            self._tell(block.number, block.problems + problems)

    def _compare(self) -> None:
        """Raises `CheckpointError` where the rows up to here are others than those that are expected."""
        expected = self._expected
        if expected and self._end >= expected["count"]:
            self._expected = None
            if expected != self.state(expected["count"]):
                raise CheckpointError(
                    f"the first {expected['count']:,} rows are not those that the checkpoint was made with: "
                    "put the data back as it was, or start anew with resume=never"
                )

    def _read_blocks(self) -> Iterator[_Block]:
        for epoch in count():
            generator = torch.Generator().manual_seed(self._seed + epoch)
            records, before = iter(self._read()), self._end
            for number in count():
                block = list(islice(records, self._buffer_size))
                if not block:
                    break
                rows = [row for row in block if isinstance(row, Row)]
                problems = [problem for bad in block if isinstance(bad, list) for problem in bad]
                yield _Block(epoch, number, rows, problems, generator)
            if self._end == before:
                raise DataError("no row of the stream is left to learn")

    def _tell(self, number: int, problems: list[Problem]) -> None:
        """Counts the bad rows of a block of the first pass, and hands them on behind the first block."""
        if number < self._counted:
            return
        self._counted = number + 1
        self.rejected += len({(problem.file, problem.number) for problem in problems if problem.number})
        if number and problems:
            self._reject(problems)


def _places(rows: Sequence[Row], problems: Iterable[Problem]) -> list[int]:
    """The places of the rows that the problems are about."""
    bad = {(problem.file, problem.number) for problem in problems}
    return [place for place, row in enumerate(rows) if (row.file, row.number) in bad]


def _digest_of_texts(before: str, rows: Iterable[Row]) -> str:
    """A digest of all that is tokenised of `rows`, and of what was `before` them."""
    digest = hashlib.sha256(before.encode())
    for row in rows:
        texts = (row.instruction, row.instruction_en, row.output, row.history, row.history_en)
        digest.update(repr(texts).encode())
    return digest.hexdigest()
