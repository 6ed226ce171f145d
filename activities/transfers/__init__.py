"""The steps of what comes in and goes out as a file.

- ``export``: The steps of an export that is a job
- ``fleet_import``: The steps of an import that is a job
"""
