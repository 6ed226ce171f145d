"""Signing in, tokens and grants: how callers prove who they are, and what they may do."""
