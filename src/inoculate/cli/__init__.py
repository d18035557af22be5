"""Command-line face: translates, decides nothing."""
