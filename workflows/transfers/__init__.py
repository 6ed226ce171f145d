"""What comes in and goes out as a file, by jobs.

- ``export``: An export that one answer is too small for: its file is made slice by slice, and kept for a while
- ``fleet_import``: The import of a fleet's file: what was uploaded is stored depot by depot, whether anybody watches
  or not
"""
