"""Source code as trees, facts and views."""
