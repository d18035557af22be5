"""Runs what a user names: AFL++, atheris, limits, and what a policy gives them."""
