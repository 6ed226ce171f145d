"""What comes in and goes out as a file, by jobs.

- ``fleet_import``: The import of a fleet's file
"""
