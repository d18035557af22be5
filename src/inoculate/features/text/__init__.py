"""Arithmetic of names, URLs, requests and commands: shapes and decoding."""
