"""The steps of what comes in and goes out as a file.

- ``fleet_import``: The steps of an import that is a job
"""
