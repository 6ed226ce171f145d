"""What is derived from circuits, and the requests to derive it: microgrids, outbox, backfills, drift.

- ``backfills``: Backfills: set-based work on pages of depots, with an outcome a depot
- ``drift``: Microgrids that do not follow their depots' circuits, over all depots at once
- ``microgrids``: Microgrids: read them, and reconcile one with its depot's top-level circuits
- ``outbox``: The outbox: depots whose circuits changed, waiting for the relay to tell their sync workflow
- ``retirement``: The retirement of depots: a depot is taken out of service with its microgrid, and brought back with
  it
- ``set_up``: What of a depot's set-up is done, read in one statement
- ``structure``: A microgrid's structure: its grid connections and all that hangs below them, as the depot has it now
- ``tables``: The tables of what is derived from circuits, of the outbox, and of backfills
"""
