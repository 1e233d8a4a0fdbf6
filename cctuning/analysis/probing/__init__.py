"""The questions of a study, how processes share them, and how it goes on after a kill."""
