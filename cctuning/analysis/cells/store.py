"""Cells on disk: a Parquet file for each few questions, written whole, so that a kill leaves whole questions.

A row is one answer. `kind` says whose: `transplant` with its source and target layer, `target` for the model
as it is, asked the prompt that activations go into, and `source`, asked the one that they come from.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cctuning.tools.files import whole

SCHEMA = pa.schema(
    {
        "question": pa.string(),
        "language": pa.string(),
        "kind": pa.string(),
        "source_layer": pa.int16(),  # from 0; null where nothing is transplanted
        "target_layer": pa.int16(),
        "tokens": pa.list_(pa.int32()),  # of the answer, its end token too
        "text": pa.string(),
        "log_probability": pa.float64(),  # nats, all tokens, under the model that wrote it
        "plain_log_probability": pa.float64(),  # the same under the model as it is; null: not computed
        "option_log_probabilities": pa.list_(pa.float64()),  # of a choice, in the options' order; else null
        "score": pa.float64(),  # in [0, 1], the metric that the papers report
        "correct": pa.bool_(),  # score is 1
        # Nats of an answer that begins with a right one, under the model that wrote the row; null: not known.
        "right_log_probability": pa.float64(),
    }
)
_SINCE_LATER = "right_log_probability"  # a column that files of older versions lack
_FINGERPRINT = b"cctuning.questions"  # in a file's metadata: what the questions in it are


class CellsError(ValueError):
    """A file of cells that is damaged or belongs to other questions."""


def write_cells(path: str | Path, rows: Iterable[Mapping[str, Any]], *, fingerprint: str) -> None:
    """Writes rows of `SCHEMA` to a Parquet file that is whole or not there.

    `fingerprint` is kept in the file, for `has_cells`. Raises `OSError`, and `CellsError` for a number that
    is not finite.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA.with_metadata({_FINGERPRINT: fingerprint}))
    _check_finite(table, path)
    with whole(path) as part:
        pq.write_table(table, part, compression="zstd")


def has_cells(path: str | Path, fingerprint: str) -> bool:
    """Whether the file is there. Raises `CellsError` where it is damaged or holds something else."""
    if not Path(path).exists():
        return False
    try:
        known = (pq.read_schema(path).metadata or {}).get(_FINGERPRINT)
    except (pa.ArrowException, OSError) as error:
        raise CellsError(f"{path} is damaged ({error}). Take it away, and it is made again") from error
    if known != fingerprint.encode():
        raise CellsError(
            f"{path} holds cells of other questions, or made in another way: set another output_dir, or "
            "resume=never to make everything anew"
        )
    return True


def read_cells(paths: Sequence[str | Path]) -> pa.Table:
    """All rows of some files. Raises `CellsError` for one that is missing, damaged or no file of cells.

    A number that is not finite is damage too.
    """
    tables = []
    for path in paths:
        try:
            # A file object: by its path pyarrow would also make columns of the folders' names.
            with Path(path).open("rb") as file:
                table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise CellsError(
                f"{path} cannot be read ({error}). Take it away, and it is made again"
            ) from error
        if table.schema.names == [name for name in SCHEMA.names if name != _SINCE_LATER]:
            nothing = pa.nulls(table.num_rows, SCHEMA.field(_SINCE_LATER).type)
            table = table.append_column(_SINCE_LATER, nothing)
        if table.schema.names != SCHEMA.names:
            raise CellsError(
                f"{path} is no file of cells: its columns are {', '.join(table.schema.names)}. Take it away, "
                "and it is made again"
            )
        tables.append(table.cast(SCHEMA))
        _check_finite(tables[-1], path)
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def _check_finite(table: pa.Table, path: str | Path) -> None:
    for field in table.schema:
        values = table[field.name]
        if pa.types.is_list(field.type):
            values = pc.list_flatten(values)
        if pa.types.is_floating(values.type) and pc.all(pc.is_finite(values)).as_py() is False:
            raise CellsError(
                f"{path}, column {field.name}: a number is not finite (NaN or infinity), so a model that "
                "overflowed made it: try dtype=float32. Take the file away, and it is made again"
            )
