"""What was measured over time, as it is shown.

- ``bands``: When a depot's capabilities were ON and OFF, by what was known of them
- ``choices``: What of a depot can be chosen as a series: circuits, power sources and devices, with what was measured
  of each
- ``exports``: Exports of a site's history: the statement of each, whose rows PostgreSQL itself writes as CSV
- ``parquet``: Parquet files of exports, made from their CSV by DuckDB, which is there where the extra ``parquet`` is
  installed
- ``rollup_statements``: The statements that make rollups: minutes from readings, and wider buckets from narrower ones
- ``rollups``: Rollups of readings, kept right under late and repeated data
- ``series``: Series of measurands, in buckets of equal width
- ``sources``: What the chosen series are called, where they belong, and which device measures each
- ``tables``: The tables of rollups, and of what is still to be rolled up
"""
