"""One use case a file: no HTTP, no printing."""
