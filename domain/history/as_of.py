"""How far back the slider on pages reaches, and in how many places."""

from __future__ import annotations

SPANS = {"1h": ("hour", 3_600), "24h": ("day", 86_400), "7d": ("week", 604_800), "31d": ("month", 2_678_400)}
"""How far it reaches: the word of it, and its seconds."""
STEPS = 500
"""Its places; the last one is the present."""
