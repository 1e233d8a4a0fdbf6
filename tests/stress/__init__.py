"""Long checks, run by hand: python -m tests.stress.NAME. Short forms of them are among the tests."""
