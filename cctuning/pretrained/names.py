"""Models by name, a folder or a hub name: errors say which setting named what, and why it is no model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cctuning.pretrained.hub import may_be_on_hub
from cctuning.pretrained.kinds import GGUF_SUFFIX, check_whole, holds_model
from cctuning.settings.near_matches import did_you_mean


@contextmanager
def naming_model(key: str, name: str) -> Iterator[None]:
    """A block that loads from the model `name`, which the setting `key` gave.

    Raises `FileNotFoundError` where `name` is a path and no model's folder. What a library raises in the
    block as `OSError`, `ValueError` or for want of a package, often without a name, becomes an `OSError` with
    key and name.
    """
    check_model_path(key, name)
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        if isinstance(error, ImportError) and error.name is not None:
            raise  # a defect; that a model needs a package is an error without the attribute
        if str(error).startswith(f"{key}={name}: "):
            raise  # a block inside of this one has said so
        place = "" if Path(name).exists() else "there is no such folder, and as a hub name: "
        raise OSError(f"{key}={name}: {place}{error}") from error


def check_model_path(key: str, name: str) -> None:
    """Raises `FileNotFoundError` where `name`, which `key` was set to, is a path and no model's folder.

    Raises `ModelError` for a folder whose training or fit did not end.
    """
    path = Path(name)
    if path.is_dir():
        if not holds_model(path):
            begun = "; its training has not finished" if (path / "recipe.yaml").is_file() else ""
            raise FileNotFoundError(f"{key}={name} holds no config.json, so it is no model's folder{begun}")
        check_whole(path)
    elif path.exists():
        if path.suffix != GGUF_SUFFIX:
            raise FileNotFoundError(
                f"{key}={name} is a file, and must be a model's folder, a hub name, or a {GGUF_SUFFIX} file"
            )
    elif not may_be_on_hub(name):
        raise FileNotFoundError(f"{key}={name} does not exist{_hint(path)}")


def beside_model(model: str, *names: str, runs: str = "outputs") -> Path:
    """The default folder of results: in the model's folder, or for a model on the hub under `runs`."""
    folder = Path(model)
    return (folder if folder.is_dir() else Path(runs, model.replace("/", "--"))).joinpath(*names)


def _hint(path: Path) -> str:
    if path.parts[:2] == ("outputs", "demo"):
        return ": make demo writes it"
    if not path.parent.is_dir():
        return f", nor does its folder {path.parent}"
    return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir() if entry.is_dir()])
