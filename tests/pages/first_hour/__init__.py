"""The tasks of docs/first-hour.md, done in a real browser within the clicks that it allows."""
