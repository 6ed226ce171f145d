"""PostgreSQL and Temporal as embedded defaults, and the processes that they and the product run in.

- ``bounded_http``: HTTP as uvicorn speaks it, with a bound on what comes before a body: its size, its time, and what
  it may be
- ``embedded``: PostgreSQL and Temporal as embedded defaults: servers that a command or a test starts for itself
- ``parent_death``: Runs a command that the operating system ends together with the process that started it
- ``processes``: Processes that this one starts, watches and ends
- ``serve``: One API process of several that share an address: it serves on sockets that whoever started it has bound
"""
