"""Which pair for this question? Choosers pick a layer pair per question without knowing the answer."""

from cctuning.analysis.choosers.features import features
from cctuning.analysis.choosers.judge import Judgement, judge_pilot, judge_unseen
from cctuning.analysis.choosers.registry import CHOOSERS
from cctuning.analysis.choosers.verdicts import AccuracyEstimate

__all__ = ["CHOOSERS", "AccuracyEstimate", "Judgement", "features", "judge_pilot", "judge_unseen"]
