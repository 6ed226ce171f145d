"""Commands that look after what is derived from what came.

- ``rollups``: `./dev rollups`: how far readings are rolled up; holds rollups against their readings, and makes them
  right
"""
