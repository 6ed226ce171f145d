"""What the rows of all kinds of jobs have in common. Each statement is given the kind's table.

- ``change_tokens``: Short texts that differ as soon as a job, or the list of a kind's jobs, has changed
- ``rows``: The row of a job: read, listed, held, its state written, the status of many read at once
"""
