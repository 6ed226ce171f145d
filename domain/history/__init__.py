"""The rules of what was measured over time: which series there are, and how their time is divided.

- ``as_of``: How far back the slider on pages reaches, and in how many places
- ``buckets``: How wide the buckets of a series are, and where they begin
- ``export_jobs``: An export as a job: what is beyond the cap of one answer, made slice by slice and kept for a while
- ``exports``: What can be taken away of a site's history: which tables, of what, and how much at once
- ``rollups``: Rollups: what a measurand came to by minute, quarter of an hour and day, and when capabilities were ON
  and OFF
- ``series``: Series of a measurand: what is chosen, how long a reading holds, and when it is delayed
"""
