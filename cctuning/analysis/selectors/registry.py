"""The pair selectors by name; a new one is added to the table of its file, or a new table here."""

from cctuning.analysis.selectors.combined import COMBINED
from cctuning.analysis.selectors.likelihood import LIKELIHOOD
from cctuning.analysis.selectors.probe import PROBE
from cctuning.analysis.selectors.references import FIXED
from cctuning.analysis.selectors.selector import PairSelector
from cctuning.analysis.selectors.vote import VOTE

SELECTORS: dict[str, PairSelector] = {**FIXED, **LIKELIHOOD, **VOTE, **COMBINED, **PROBE}
