"""The choosers by name; a new one is added to the table of its file, or a new table here."""

from cctuning.analysis.choosers.chooser import Chooser
from cctuning.analysis.choosers.combined import COMBINED
from cctuning.analysis.choosers.likelihood import LIKELIHOOD
from cctuning.analysis.choosers.probe import PROBE
from cctuning.analysis.choosers.references import FIXED
from cctuning.analysis.choosers.vote import VOTE

CHOOSERS: dict[str, Chooser] = {**FIXED, **LIKELIHOOD, **VOTE, **COMBINED, **PROBE}
