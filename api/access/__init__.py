"""Signing in, tokens and grants: how callers prove who they are, and what they may do.

- ``authorization``: Whether who makes a request may use its route, at the depots that it names
- ``grants``: Grants: who has which role where; what a change of that would give or take
"""
