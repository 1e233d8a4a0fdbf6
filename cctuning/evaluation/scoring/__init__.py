"""Scores of one response: functions of the response and its item, with values in [0, 1]."""
