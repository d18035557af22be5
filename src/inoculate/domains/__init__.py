"""One source format a file; folders group them by kind."""
