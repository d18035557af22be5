"""Inputs that end badly: told apart, named, replayed, made shorter."""
