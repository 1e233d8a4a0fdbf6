"""What the layers of a model would say, with and without a transplant: a logit lens as a picture."""

from cctuning.analysis.lens.logit_lens import Lens, logit_lens
from cctuning.analysis.lens.page import draw

__all__ = ["Lens", "draw", "logit_lens"]
