"""Imports: the bodies of both kinds, and imports as jobs.

- ``import_jobs``: Imports as jobs
- ``spooling``: The bodies of imports
"""
