"""Source code and configuration."""
