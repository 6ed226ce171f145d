"""The journal, and what is in it."""
