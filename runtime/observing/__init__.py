"""What a process tells of itself to whoever is on call: metrics and traces.

- ``metrics``: What every process tells Prometheus of itself: its version, its memory and processor, its event loop,
  its database
- ``open_telemetry``: OpenTelemetry's SDK, set up by its standard variables; ``traces`` imports this, where they ask
  for it
- ``statements``: Spans of SQL statements, which cost little: the trace of one packet has nine of them, and two other
  spans
- ``traces``: Traces, where the standard variables of OpenTelemetry ask for them; where they do not, nothing of it is
  imported
"""
