"""Bounded, decompressing access to bytes and lines: attackers write our input."""
