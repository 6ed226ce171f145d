"""Microgrids with Resync, and backfills.

- ``backfills``: Backfills: start, watch, pause, resume, cancel, and what was found for each depot
- ``microgrids``: Microgrids: read by depot or by their own id, their structure, and Resync
- ``retirement``: Retire a depot with its microgrid, and bring it back
- ``set_up``: How far a depot is set up, from its circuits to the first packet
"""
