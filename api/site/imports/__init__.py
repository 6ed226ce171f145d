"""Imports: the bodies of both kinds, and imports as jobs.

- ``import_jobs``: Imports as jobs: a file is uploaded, stored depot by depot whoever watches, and reported on
- ``spooling``: The bodies of imports: put aside on the disk before the database is asked for anything
"""
