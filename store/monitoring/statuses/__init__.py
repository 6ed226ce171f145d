"""Statuses beyond the latest of one microgrid: those of many depots, and when each changed.

- ``fleet``: The capabilities' statuses of many depots at once
- ``transitions``: When the status of a capability changed: since when the latest one holds, and every change before it
"""
