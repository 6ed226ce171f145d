"""Temporal workflows: order, timers, signals, updates, queries. No I/O and no wall clock."""
