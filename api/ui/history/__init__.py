"""Pages of what was measured over time.

- ``as_of``: Back in time: what the product showed of a depot at a moment, with a slider to go there
- ``exports``: Exports that jobs make: ask for one, watch one's own, download their files
- ``trends``: The Trends page: up to eight series on shared time, chosen by search, with what held beside them
"""
