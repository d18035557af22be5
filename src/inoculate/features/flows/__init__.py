"""Arithmetic of network flows: packets, sums, context, and the one schema."""
