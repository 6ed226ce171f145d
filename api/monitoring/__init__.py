"""Packets in; statuses, events and load out.

- ``capability_status``: Capability status of a microgrid: the canonical way in, the latest with its freshness, the
  history, live events
- ``load``: The load of a depot over time, beside what its circuits may draw: the data of a chart
- ``overview``: The overview of a fleet: what needs attention, how much of it there is, and the load beside the
  capacity
- ``telemetry``: Packet ingest over HTTP, and the packets that were received
"""
