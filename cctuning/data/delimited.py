"""Delimited text -> records: CSV and TSV with a line of names, as spreadsheets and pandas write them."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cctuning.data.formats import LONGEST_LINE, DataError, Record, first_byte, opened, reading

_OF_TABLES = "quote cells that hold quotes, line breaks or delimiters, and write a quote in them twice"


def delimited_records(path: Path) -> Iterator[Record]:
    """The rows of a CSV or TSV file; a record's number is the line that its row begins in.

    Cells are text, an empty one is None. A .tsv is cut at tabs; a .csv at commas, or at semicolons or tabs
    where its line of names holds more of them. Raises `DataError`.
    """
    with reading(path), opened(path) as file:
        first_byte(path, file)
        delimiter = "\t" if ".tsv" in path.suffixes else _delimiter(file)
        lines = io.TextIOWrapper(file, encoding="utf-8", newline="")
        csv.field_size_limit(LONGEST_LINE)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        begins = 1
        try:
            names = _names(path, next(reader, []))
            begins = reader.line_num + 1
            for cells in reader:
                number, begins = begins, reader.line_num + 1
                if cells:  # not an empty line
                    yield _record(number, names, cells)
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is no UTF-8 text behind line {begins}: save it as UTF-8") from error
        except csv.Error as error:
            raise DataError(f"{path}, line {begins}: {error}; {_OF_TABLES}") from error


def _delimiter(file: BinaryIO) -> str:
    """The delimiter of the line of names, which `file` stands before."""
    start = file.tell()
    line = file.readline(LONGEST_LINE)
    file.seek(start)
    return max((",", ";", "\t"), key=lambda sign: line.count(sign.encode()))


def _names(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if names and ("" in names or repeated):
        fault = f"{repeated[0]!r} twice" if repeated and repeated[0] else "a column without a name"
        raise DataError(f"{path}: the first line holds the names of the columns, and has {fault}")
    return names


def _record(number: int, names: list[str], cells: list[str]) -> Record:
    if len(cells) != len(names):
        fault = f"has {len(cells)} cells, and the line of names has {len(names)}: {_OF_TABLES}"
        return Record(number, cells, fault)
    return Record(number, {name: cell or None for name, cell in zip(names, cells, strict=True)})
