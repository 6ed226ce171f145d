"""The Microgrid tab with the dialogs of its circuits, and the Backfill monitor.

- ``backfills``: The Backfill monitor: start one, watch it, steer it, and see what it found for each depot
- ``circuits``: The dialogs of the Microgrid tab: add, change, move and delete a circuit
- ``microgrid``: The Microgrid tab of a depot: its structure as a single-line diagram, its state, and Resync
- ``retirement``: The dialogs that retire a depot and bring it back
- ``structure_view``: What the Microgrid tab shows of a structure at once: a part that fits a page, with ways to the
  rest of it
"""
