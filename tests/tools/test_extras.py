import pytest

from cctuning.tools.extras import extra


def test_a_missing_package_is_named_with_its_extra():
    with (
        pytest.raises(
            ImportError, match=r'"no_such_package".*pip install "cctuning\[evaluation\]"'
        ) as caught,
        extra("evaluation"),
    ):
        import no_such_package  # noqa: F401
    assert caught.value.name is None  # what entry scripts take for a message to the user


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), extra("analysis"):
        _ = 1 / 0
