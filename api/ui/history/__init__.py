"""Pages of what was measured over time.

- ``trends``: The Trends page: up to eight series on shared time, chosen by search, with what held beside them
"""
