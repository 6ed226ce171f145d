"""What was measured over time, as it is shown.

- ``bands``: When a depot's capabilities were ON and OFF, by what was known of them
- ``series``: Series of measurands, in buckets of equal width
- ``sources``: What the chosen series are called, where they belong, and which device measures each
"""
