"""What the product is measured against.

- ``bare``: The baseline of packet ingest: the rows of a group written by the bare driver, with no HTTP and no rules
- ``bare_bands``: The bands of a chart as one would ask for them by hand: when a microgrid's capabilities were ON and
  OFF
- ``flexmeasures``: FlexMeasures, an open-source platform that takes meter readings over HTTP into PostgreSQL, to
  measure beside ours
- ``flexmeasures_charts``: The data of FlexMeasures' charts: the same meters, on the same PostgreSQL server, asked as
  its page asks
- ``flexmeasures_site``: Runs inside FlexMeasures' own environment: a user, and as many depots with one sensor each as
  asked for
- ``same_rows``: Whether the baseline of packet ingest writes the rows that the product writes, table by table
- ``server``: The API with one more route, which the latest-status read is measured against
"""
