"""What was measured over time, as it is shown.

- ``bands``: When a depot's capabilities were ON and OFF, by what was known of them
- ``exports``: Exports of a site's history: the statement of each, whose rows PostgreSQL itself writes as CSV
- ``parquet``: Parquet files of exports, made from their CSV by DuckDB, which is there where the extra ``parquet`` is
  installed
- ``series``: Series of measurands, in buckets of equal width
- ``sources``: What the chosen series are called, where they belong, and which device measures each
"""
