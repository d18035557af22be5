"""One agent a file; the file name is its name everywhere."""
