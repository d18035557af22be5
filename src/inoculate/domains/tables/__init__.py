"""Formats whose columns are the user's own: one file a format."""
