"""Texts from outside in documents that are opened elsewhere: Markdown files, and pages for a browser."""

import base64
import hashlib
import re

from cctuning.tools.errors import printable

_BREAKS = re.compile(r"[\r\n\x0b\x0c\x85\u2028\u2029]+")


def in_markdown(text: str) -> str:
    """`text` as one line of Markdown that begins no HTML, link, picture or cell of a table."""
    line = printable(_BREAKS.sub(" ", text))
    return line.replace("<", "&lt;").replace("](", "]\\(").replace("|", "\\|")


def content_policy(*scripts: str) -> str:
    """A content security policy of a page: nothing is loaded, nothing is sent, these scripts alone run.

    Plotly writes style attributes and draws a heatmap as an image of its own, hence the two exceptions.
    """
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
