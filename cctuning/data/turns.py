"""Rows of conversations, taken apart into one for each response."""

import dataclasses
from collections.abc import Iterable, Iterator

from cctuning.data.rows import Row


def rows_of_turns(rows: Iterable[Row]) -> list[Row]:
    """Each row of a conversation as one for each of its responses, which stands at the end of its own.

    Their ids are `<id>#1`, `<id>#2` and so on.
    """
    return [turn for row in rows for turn in _turns(row)]


def _turns(row: Row) -> Iterator[Row]:
    places = [place for place, message in enumerate(row.history) if message.role == "user"]
    for number, place in enumerate(places, start=1):
        yield dataclasses.replace(
            row,
            id=f"{row.id}#{number}",
            history=row.history[:place],
            instruction=row.history[place].content,
            output=row.history[place + 1].content,
            history_en=row.history_en[:place],
            instruction_en=row.history_en[place].content if row.instruction_en else "",
            output_en=row.history_en[place + 1].content if row.instruction_en else None,
        )
    yield dataclasses.replace(row, id=f"{row.id}#{len(places) + 1}") if places else row
