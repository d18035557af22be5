"""Numpy arithmetic shared by domains and learners."""
