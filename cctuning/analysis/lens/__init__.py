"""What the layers of a model would say, with and without a transplant: a logit lens as a picture."""

from cctuning.analysis.lens.page import draw
from cctuning.analysis.lens.reading import Lens, logit_lens

__all__ = ["Lens", "draw", "logit_lens"]
