"""Signing in and out.

- ``sign_in``: Signing in and out: sending people to the provider, taking them back, and the pages at the end of both
"""
