"""Arithmetic of calls, events and log lines."""
