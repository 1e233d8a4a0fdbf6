"""Marks of finished work: the file that says so goes before anything is written anew, and is written last.

Between the two a file UNFINISHED lies in the folder, so that a model that was written in part is not taken
for a whole one, whose own files do not tell.
"""

from pathlib import Path

from cctuning.tools.files import write_whole

UNFINISHED = "UNFINISHED"


def begin(folder: str | Path, *marks: str) -> None:
    """Says that the content of `folder`, which is made where it is missing, is being written; `marks` go.

    Call it when all that can be checked has been, and the first file is about to change. Raises `OSError`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / UNFINISHED, "".join(f"{mark}\n" for mark in marks))
    for mark in marks:
        (folder / mark).unlink(missing_ok=True)


def finish(folder: str | Path, mark: str, text: str) -> None:
    """Writes the file `mark`; with the last one that `begin` named all is there. Raises `OSError`."""
    write_whole(Path(folder) / mark, text)
    if not missing_mark(folder):
        (Path(folder) / UNFINISHED).unlink(missing_ok=True)


def foreign_file(folder: str | Path, mark: str) -> str:
    """A file of something else in a folder that lacks `mark`, which its writer leaves; "" where none is."""
    folder = Path(folder)
    if (folder / mark).exists() or missing_mark(folder) == mark or not folder.is_dir():
        return ""
    return min((path.name for path in folder.iterdir() if not path.name.startswith(".")), default="")


def missing_mark(folder: str | Path) -> str:
    """The first mark that is missing in a folder that `begin` opened; "" where none is."""
    try:
        marks = (Path(folder) / UNFINISHED).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    # All may be there: a kill may come between the last one and the removal of the list.
    return next((mark for mark in marks if not (Path(folder) / mark).is_file()), "")
