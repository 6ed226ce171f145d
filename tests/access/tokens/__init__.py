"""Tokens of programs: whose they are, what they may, and when they end."""
