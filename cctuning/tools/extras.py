"""Optional packages: an import that fails names the extra that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of a library of the extra `name`, such as `evaluation`.

    Raises `ImportError` that says how to install it, in place of Python's own.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f'The package "{error.name}" is not installed. It comes with: pip install "cctuning[{name}]"'
        ) from error
