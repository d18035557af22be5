"""Small C programs made for training and measuring."""
