"""The scripts of `cctuning prepare`, also to be run as `python -m data_prep.NAME`."""

from cctuning.preparation import __path__ as __path__
