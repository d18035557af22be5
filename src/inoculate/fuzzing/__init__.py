"""How inputs are mutated, run, kept and described: what agents of fuzzing share."""
