"""What the Trends page and small trends ask beside the series themselves.

- ``choices``: What of a depot can be chosen as a series: circuits, power sources and devices, with what was measured
  of each
- ``series_statements``: The statements that read series in buckets: from readings, and from rollups where they say the
  same
- ``sparks``: Small trends of the last day or of the last hours: of each half hour the value that was measured last
"""
