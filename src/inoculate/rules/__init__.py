"""Rule languages, one a file."""
