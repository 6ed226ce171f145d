"""What was measured over time.

- ``exports``: Exports: readings, histories and remediations as files of CSV or Parquet
- ``series``: Series of measurands over time, with what held beside them: the data of the trends page
"""
