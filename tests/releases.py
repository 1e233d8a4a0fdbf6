"""Releases of transformers that pyproject.toml allows, and that do otherwise than newer ones."""

import pytest
import transformers
from packaging.version import Version


def since(release: str, reason: str) -> pytest.MarkDecorator:
    """A mark that leaves a test out with a transformers before `release`."""
    return pytest.mark.skipif(Version(transformers.__version__) < Version(release), reason=reason)


resumes_on_cpus = since("5.18", "transformers cannot read an optimiser in one of several CPU processes")
caps_scores = since("5.21", "scaled_dot_product_attention leaves out Gemma 2's soft cap")
reads_gguf_merges = since("5.18", "transformers cannot read such merges of a GGUF file")
