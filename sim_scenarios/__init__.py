"""Simulation scenarios: their state, their presets and the packets that follow from them. No I/O."""
