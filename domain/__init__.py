"""Rules without I/O: pure functions and frozen types that every other package shares."""
