"""Tests of series, exports and what held at a moment."""
