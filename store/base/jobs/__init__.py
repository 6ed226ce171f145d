"""What the rows of all kinds of jobs have in common. Each statement is given the kind's table.

- ``rows``: The row of a job: read, listed, held, its state written, its status told for many at once
"""
