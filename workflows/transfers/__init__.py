"""What comes in and goes out as a file, by jobs.

- ``fleet_import``: The import of a fleet's file: what was uploaded is stored depot by depot, whether anybody watches
  or not
"""
