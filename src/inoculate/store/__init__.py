"""Artifacts: a directory with manifest.json and arrays.safetensors, and the shipped priors."""
