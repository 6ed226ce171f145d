"""What was measured over time.

- ``series``: Series of measurands over time, with what held beside them: the data of the trends page
"""
