"""XTransplant: what a model answers when a layer's output moves from one prompt to another, for all pairs."""

from cctuning.analysis.transplant.answers import answer_log_probabilities
from cctuning.analysis.transplant.interventions import INTERVENTIONS, Intervention, Site
from cctuning.analysis.transplant.prompt_pairs import SUBLAYERS, Cell, PromptPair, Swap, Sweep
from cctuning.analysis.transplant.sweep import sweep, transplant_sweep

__all__ = [
    "INTERVENTIONS",
    "SUBLAYERS",
    "Cell",
    "Intervention",
    "PromptPair",
    "Site",
    "Swap",
    "Sweep",
    "answer_log_probabilities",
    "sweep",
    "transplant_sweep",
]
