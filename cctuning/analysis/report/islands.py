"""Data islands: data inside an HTML page, packed so that no text in it can be read as HTML.

A page unpacks one only when it is looked at, with `DecompressionStream` (Chrome and Edge 80, Firefox 113,
Safari 16.4, or newer).
"""

import base64
import gzip
import json
from typing import Any


def packed(text: str) -> str:
    """Base64 of gzip, the same bytes for the same text; lone surrogates have to be escaped already."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


def packed_json(content: Any) -> str:
    """`packed` JSON, in ASCII: whatever a model answered, a lone half of a surrogate pair too, survives."""
    return packed(json.dumps(content, separators=(",", ":"), allow_nan=False))
