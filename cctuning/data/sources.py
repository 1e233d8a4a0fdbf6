"""Sources of rows: JSONL, JSON, Parquet, CSV and TSV files, folders and globs of them, and hub data sets.

This file finds; `formats.py` and `delimited.py` decode, and what a training row must hold is in `rows.py`.
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from cctuning.data.delimited import delimited_records
from cctuning.data.formats import DataError, Record, class_name, json_records, parquet_records, saved_records
from cctuning.settings.near_matches import missing_file

_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")  # of a folder only where it holds no others
_NAMES = "name files, folders or hub data sets, such as data=[rows.jsonl]"
_NOT_ROWS = {"dataset_info.json", "dataset_infos.json", "state.json", "manifest.json"}
# What `cctuning prepare` writes beside rows: those that were left out, and what it goes on from.
_NO_ROWS = (".rejects.jsonl", ".removed.jsonl", ".translations.jsonl", ".answers.jsonl")
_PARTITION = re.compile(r"\w+=.+")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_SPLIT = "train"  # where none is asked for
_SPLIT_WORDS = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "test": {"test", "testing", "eval", "evaluation"},
}


@dataclass(frozen=True)
class Source:
    """A file or a data set: its name as messages show it, and its records, read anew by each call."""

    name: str
    records: Callable[[], Iterator[Record]]

    @property
    def stem(self) -> str:
        """The name without folder, suffix and configuration."""
        return re.sub(r"(\.(jsonl?|csv|tsv)(\.gz)?|\.parquet|:[\w.-]+)$", "", self.name.rpartition("/")[2])


def find_sources(names: Sequence[str], *, split: str | None = "train") -> list[Source]:
    """The files and data sets that `names` stand for, in that order; a folder's files by name.

    Of a folder, files named after another split than `split` are left out (`test.jsonl`, `de-dev.parquet`);
    None: no file is left out, and of a data set `train` is read.
    Raises `DataError` for a name that stands for nothing, or a file that is named twice.
    """
    sources = [source for name in names for source in _named(name, split)]
    if not sources:
        raise DataError(f"no data: {_NAMES}")
    seen: set[Path] = set()
    for source in sources:
        if (place := Path(source.name).resolve()) in seen:
            raise DataError(f"{source.name} is named twice in data={list(names)}")
        seen.add(place)
    return sources


def hub_data_set(name: str) -> str | None:
    """The data set on the hub, `org/name`, that a source's name stands for; None for files and folders."""
    if not _HUB_NAME.fullmatch(name) or name.endswith((*_SUFFIXES, *_TABLES)):
        return None
    repository = name.partition(":")[0]
    return None if Path(name).exists() or Path(repository).is_dir() else repository


def check_output_dir(names: Sequence[str], output_dir: str | Path) -> None:
    """Raises `DataError` where a folder of rows holds `output_dir`: the run's files would be read as rows."""
    output_dir = Path(output_dir).resolve()
    for name in names:
        folder = Path(name)
        if name and folder.is_dir() and output_dir.is_relative_to(folder.resolve()):
            raise DataError(
                f"output_dir={output_dir} lies in {name}, and all files there are read as rows: choose "
                f"another output_dir, or name the files, such as data={folder / '*.jsonl'}"
            )


def _named(name: str, split: str | None) -> list[Source]:
    if not name.strip():
        raise DataError(f"an empty name in data: {_NAMES}")
    try:
        return _expand(name, split)
    except (OSError, RuntimeError) as error:  # too long a name, `~` of nobody, a closed folder
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(f"{textwrap.shorten(name, 80)} cannot be looked up: {reason}") from error


def _expand(name: str, split: str | None) -> list[Source]:
    path = Path(name).expanduser()
    if path.is_file():
        return [_file(path)]
    if path.is_dir():
        return _folder(path, split)
    if any(sign in name for sign in "*?["):
        paths = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not paths:
            raise DataError(f"no file matches {name}")
        return [source for match in paths for source in _expand(str(match), split)]
    folder, _, config = name.rpartition(":")
    if Path(folder).is_dir() and folder:  # a data set's repository, cloned
        return [Source(name, partial(_data_set_records, folder, config, split or _SPLIT))]
    if repository := hub_data_set(name):
        config = name.partition(":")[2]
        return [Source(name, partial(_data_set_records, repository, config or None, split or _SPLIT))]
    raise DataError(_missing(path))


def _missing(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return f"{path} is a link to {path.readlink()}, which leads nowhere"
    if path.exists():
        return f"{path} is neither a file nor a folder"
    message = missing_file(path)
    if path.parts[0] == "data":
        message += "\ndata/ is filled by the scripts of `cctuning prepare`;"
        message += " for rows of your own: data=[my_rows.jsonl]"
    return message


def _file(path: Path, root: Path | None = None) -> Source:
    """A file, with the columns that the names of its folders hold: in `root`, and those right above."""
    name, columns = path.name.lower(), _partition_columns(_partitions(path, root))
    if not path.is_file():  # a pipe would be waited for without end
        raise DataError(_missing(path))
    if name.endswith(".parquet"):
        return Source(str(path), partial(_partition_records, path, parquet_records, columns))
    if name.endswith(_TABLES):
        return Source(str(path), partial(_partition_records, path, delimited_records, columns))
    if name.endswith(_SUFFIXES):
        return Source(str(path), partial(_partition_records, path, json_records, columns))
    suffixes = ", ".join((*_SUFFIXES, *_TABLES))
    raise DataError(f"{path}: files are read by their suffix, one of {suffixes}")


def _partition_records(
    path: Path, read: Callable[[Path], Iterator[Record]], columns: Mapping[str, str]
) -> Iterator[Record]:
    """The records of a file, with the columns that its folders' names hold: language=sw/0.parquet."""
    for record in read(path):
        if not columns or not isinstance(record.values, dict):
            yield record
            continue
        values = {key: value for key, value in record.values.items() if value is not None}
        differing = [key for key, value in columns.items() if str(values.get(key, value)) != value]
        fault = f"{differing[0]} is another than in the name of its folder" if differing else record.fault
        yield Record(record.number, {**record.values, **columns, **values}, fault)


def _partitions(path: Path, root: Path | None) -> Sequence[str]:
    """The folders of a file that may be partitions: all in `root`, and the unbroken run that ends in it.

    Without a `root` that is the file's own folder.
    """
    root = root or path.parent
    above = [*takewhile(_PARTITION.fullmatch, reversed(root.parts))]
    return [*above[::-1], *path.relative_to(root).parent.parts]


def _partition_columns(folders: Iterable[str]) -> dict[str, str]:
    """Columns by the names of folders, as Hive, Arrow and Spark write partitions of a table."""
    pairs = (folder.split("=", 1) for folder in folders if _PARTITION.fullmatch(folder))
    return {key: unquote(value) for key, value in pairs if value != "__HIVE_DEFAULT_PARTITION__"}


def _folder(folder: Path, split: str | None) -> list[Source]:
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        return [Source(str(folder), partial(saved_records, folder, split or _SPLIT))]
    files = _files_in(folder, _SUFFIXES) or _files_in(folder, _TABLES)
    if not files:
        raise DataError(f"{folder} holds no {', '.join((*_SUFFIXES, *_TABLES))}")
    kept = [
        path
        for path in files
        if not _other_split(path.name, split)
        and not _other_split(_partition_columns(_partitions(path, folder)).get("split", ""), split)
    ]
    if not kept:
        names = ", ".join(path.name for path in files)
        raise DataError(f"{folder} holds no files of the split {split!r} (data_split), only {names}")
    return [_file(path, folder) for path in kept]


def _files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Its files of rows at any depth, by name."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.name.lower().endswith(suffixes)
        and not path.is_dir()
        and path.name not in _NOT_ROWS
        and not path.name.endswith(_NO_ROWS)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _other_split(name: str, split: str | None) -> bool:
    """Whether a file's name says that it is of another split than `split`."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    splits = {known for known, synonyms in _SPLIT_WORDS.items() if words & synonyms}
    return bool(splits) and split is not None and split not in splits


# --- Data sets ----------------------------------------------------------------------------------------------


def _data_set_records(repository: str, config: str | None, split: str) -> Iterator[Record]:
    import datasets  # imported here: it takes a second that files do not need

    try:
        data_set = datasets.load_dataset(repository, config, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        name = f"{repository}:{config}" if config else repository
        raise DataError(
            f"{name} is no local file or folder, and no hub data set that can be loaded: {error}"
        ) from error
    classes = {
        column: feature.names
        for column, feature in data_set.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    for number, values in enumerate(data_set, start=1):
        labels = {key: class_name(names, values[key]) for key, names in classes.items()}
        yield Record(number, {**values, **labels})
