"""What a site reports: packets, statuses, capacities that follow them, load, and the history's months.

- ``capability_status``: Capability status: the one way in for every update, the latest status, the history
- ``capacity_upkeep``: Circuit capacities as packets and deadlines move them
- ``device_readings``: Typed readings of devices: a row for each device and time of measurement, a column for each
  measurand
- ``device_reports``: What devices really send: the last value of each measurand, from the last packets of their
  gateways
- ``freshness``: How fresh the statuses are that are shown: the one rule in SQL, for one microgrid and for a whole
  fleet
- ``history``: The months of the append-only history and of the journal: made ahead, dropped when they are old enough
- ``load``: What held over time for the capacity of a depot's circuits: what a chart shows beside the load
- ``packets``: The stored packets, as they came, with what was answered
- ``powers``: What the meters of a depot measure now
- ``reading_fills``: Reading stored packets into typed readings, gateway by gateway and page by page
- ``remediation_upkeep``: Remediations as packets open, count and close them
- ``simulated``: When what devices measured was simulated
- ``statuses``: Statuses beyond the latest of one microgrid: those of many depots, and when each changed
- ``tables``: The tables of packets and of the capabilities' statuses, as they came and as they hold
- ``telemetry``: The taking of packets: a group of them in one transaction, each with what its sensor actions did
"""
