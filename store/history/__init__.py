"""What was measured over time, as it is shown.

- ``bands``: When a depot's capabilities were ON and OFF, by what was known of them
- ``capacities_as_of``: What held for the capacity of a circuit at a moment: what the product showed, and what is known
  of it today
- ``exports``: Exports of a site's history: the statement of each, whose rows PostgreSQL itself writes as CSV
- ``jobs``: Exports that jobs make
- ``load``: What a depot's meters measured over time: the series of their load, which a chart shows
- ``parquet``: Parquet files of exports, made from their CSV by DuckDB, which is there where the extra ``parquet`` is
  installed
- ``rolling``: What rollups are made by: what changed of their sources, and segments of capabilities
- ``rollup_checks``: Rollups held against the readings and events that they are made from, day by day, by device and
  microgrid
- ``rollup_statements``: The statements that make rollups: minutes from readings, and wider buckets from narrower ones
- ``rollups``: Rollups of readings and of capability events, kept right under late and repeated data
- ``rows_as_of``: The rows of a site as they were at a moment: the present ones, and for those that changed since, what
  was kept
- ``series``: Series of measurands, in buckets of equal width
- ``sources``: What the chosen series are called, where they belong, and which device measures each
- ``statuses_as_of``: The status of capabilities at a moment: what the product showed, and what is known of that moment
  today
- ``structure_as_of``: The structure of a microgrid as the product showed it at a moment
- ``tables``: The tables of rollups and bands, of what is still to be rolled up, and of what a site was before it
  changed
- ``trends``: What the Trends page and small trends ask beside the series themselves
"""
