"""How policies that were meta-trained act, in numpy alone."""
