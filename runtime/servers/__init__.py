"""PostgreSQL and Temporal as embedded defaults, and the processes that they and the product run in.

- ``embedded``: PostgreSQL and Temporal as embedded defaults: servers that a command or a test starts for itself
- ``parent_death``: Runs a command that the operating system ends together with the process that started it
- ``processes``: Processes that this one starts, watches and ends
- ``serve``: One API process of several that share an address: it serves on sockets that whoever started it has bound
"""
