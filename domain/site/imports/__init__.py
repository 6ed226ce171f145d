"""Imports of a fleet that are jobs.

- ``import_jobs``: An import as a job: a fleet's file that was uploaded, how far it is, and how it ends
"""
