"""What rollups are made by: what changed of their sources, and segments of capabilities.

- ``band_statements``: The statements that roll up when capabilities were ON and OFF, as segments: of events by
  quarter, and by day
- ``marks``: What of a source changed since it was rolled up, found by the transactions that wrote it
"""
