"""Torch parts shared by learners."""
