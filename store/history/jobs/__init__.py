"""Exports that jobs make.

- ``export_jobs``: Exports as jobs: their rows and their files
"""
