"""Pair selectors, which pick a layer pair per question without knowing the answer."""

from cctuning.analysis.selectors.features import features
from cctuning.analysis.selectors.judge import Judgement, judge_pilot, judge_unseen
from cctuning.analysis.selectors.registry import SELECTORS
from cctuning.analysis.selectors.verdicts import AccuracyEstimate

__all__ = ["SELECTORS", "AccuracyEstimate", "Judgement", "features", "judge_pilot", "judge_unseen"]
