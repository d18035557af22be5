"""One learner a file; the file name is its name everywhere."""
