"""What was measured over time.

- ``export_jobs``: Exports as jobs: asked for, watched, downloaded while their files are kept
- ``exports``: Exports: readings, histories and remediations as files of CSV or Parquet
- ``rollups``: How far the upkeep of readings is: packets that are read, readings that are rolled up, rollups that are
  checked
- ``series``: Series of measurands over time, with what held beside them: the data of the trends page
"""
