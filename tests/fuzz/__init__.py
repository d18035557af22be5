"""Fuzzing of everything that reads bytes from outside; see ``python -m tests.fuzz --help``."""
