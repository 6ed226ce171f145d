"""Imports of a fleet that are jobs.

- ``import_jobs``: An import as a job
"""
