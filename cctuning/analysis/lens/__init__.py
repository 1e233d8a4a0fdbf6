"""Logit lens as a picture: predictions of a model's layers, with and without a transplant."""

from cctuning.analysis.lens.logit_lens import Lens, logit_lens
from cctuning.analysis.lens.page import draw

__all__ = ["Lens", "draw", "logit_lens"]
