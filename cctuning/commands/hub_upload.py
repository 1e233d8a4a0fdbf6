"""Upload of what a command has finished to the Hugging Face hub, through its library's public functions.

A folder is one commit: nobody finds a half of it there, and an upload that was cut off begins with what the
hub has received. Only files that are named here go: no checkpoint, and no row that was trained on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

from cctuning.evaluation.asking.sample_files import MADE_FILES
from cctuning.pretrained.identity import ORIGIN_FILE
from cctuning.pretrained.kinds import (
    ADAPTER_FILE,
    CARD_FILE,
    CONFIG_FILE,
    CONNECTION_FILE,
    CONNECTION_FOLDER,
    EXPORT_FOLDER,
    QUANTIZATION_FILE,
)
from cctuning.training.metrics import METRICS_FILE
from cctuning.training.runs import FINISHED_FILE, FIT_REPORT_FILE, RECIPE_FILE

# Of the HTTP library that the installed version stands on: also where no answer came.
_HTTPError: Any = HfHubHTTPError.__bases__[0]

_MODEL = (
    CONFIG_FILE, ADAPTER_FILE, QUANTIZATION_FILE, "generation_config.json", "*.safetensors",
    "*.safetensors.index.json",
    CONNECTION_FILE, f"{CONNECTION_FOLDER}/{CONNECTION_FILE}", f"{CONNECTION_FOLDER}/*.safetensors",
    "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "*.model", "*.jinja", "additional_chat_templates/*.jinja",
)  # fmt: skip
_CODE = "*.py"  # that the model came with, or that an exported model carries
RUN_FILES = (
    *_MODEL, _CODE, CARD_FILE, RECIPE_FILE, ORIGIN_FILE, METRICS_FILE, FINISHED_FILE, "training_loss.png",
    "chosen_layers.png",
)  # fmt: skip
EXPORT_FILES = (
    *_MODEL, _CODE, CARD_FILE, FIT_REPORT_FILE, "learning_curve.png", "error_per_layer.png",
)  # fmt: skip
# Samples stay here: they hold the questions of a benchmark, with their answers.
RESULT_FILES = (*MADE_FILES, RECIPE_FILE)


class HubError(ValueError):
    """Something that cannot be uploaded: where, why, and what to do."""


def repository_name(folder: str | Path) -> str:
    """The name, without its owner, of the repository that the model in `folder` goes to by default."""
    folder = Path(folder).absolute()
    return f"{folder.parent.name}-{folder.name}" if folder.name == EXPORT_FOLDER else folder.name


def make_repository(recipe: Any, folder: str | Path) -> str | None:
    """The repository that `recipe` pushes the model in `folder` to, made where it is missing; None for none.

    Call it before the work begins: a run of days is not to end with a token that may not write. Raises
    `HubError` where it may not, the hub is not reached, or what must be private is not.
    """
    if not recipe.push_to_hub:
        return None
    name = recipe.hub_model_id or repository_name(folder)
    with _explained(f"push_to_hub=true, {name}"):
        api = HfApi()
        user = api.whoami()["name"]
        name = name if "/" in name else f"{user}/{name}"
        api.create_repo(name, private=recipe.hub_private_repo, exist_ok=True)
        api.auth_check(name, write=True)
        if recipe.hub_private_repo and not api.repo_info(name).private:
            raise ValueError("it is there already, and public: make it private, or name another hub_model_id")
    return name


def files_of(folder: str | Path, patterns: Sequence[str], *, into: str = "") -> dict[str, Path]:
    """The files of `folder` that match, by their names in a repository: in its folder `into`."""
    return {
        str(PurePosixPath(into, path.relative_to(folder).as_posix())): path
        for pattern in patterns
        for path in sorted(Path(folder).glob(pattern))
        if path.is_file()
    }


def upload(repository: str, files: Mapping[str, Path], *, message: str, what: str) -> str:
    """Uploads `files`, by their names there, as one commit, and returns its address.

    With a model, files of another one that lies there go. Raises `HubError`, which says that `what`, the
    folder here, is finished.
    """
    with _explained(f"{what} is finished, and the same command uploads what is missing at {repository}"):
        api = HfApi()
        there = api.list_repo_files(repository) if CONFIG_FILE in files or ADAPTER_FILE in files else []
        stale = [name for name in there if name not in files and _is_of_a_model(name)]
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationDelete(name) for name in stale),
                *(CommitOperationAdd(name, path) for name, path in files.items()),
            ],
            commit_message=message,
        )
    return str(commit.commit_url)


def _is_of_a_model(name: str) -> bool:
    return any(PurePosixPath("/", name).match(f"/{pattern}") for pattern in _MODEL)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns what the hub, or the way to it, can refuse into a `HubError` that begins with `what`."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, _HTTPError) as error:
        raise HubError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Why the hub did not do as it was asked, in a line."""
    if isinstance(error, LocalTokenNotFoundError):
        return "there is no token: hf auth login stores one, or HF_TOKEN in the environment holds it"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set in the environment, and nothing is uploaded offline"
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, HfHubHTTPError):
        said = error.server_message or said
        reasons = {
            401: "the token is not valid: hf auth login --force, or another HF_TOKEN",
            403: "the token may not write there: the repository is another's, or the token only reads",
        }
        status = error.response.status_code
        return f"{reasons[status]} ({said})" if status in reasons else f"the hub answers {status}: {said}"
    if isinstance(error, _HTTPError):
        return f"the hub is not reached ({said}): is there a network?"
    return said
