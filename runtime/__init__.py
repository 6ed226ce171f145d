"""What every process needs before it can work: settings, the Temporal connection, logging.

- ``begin``: How each process of the product begins: with its settings, and with its log where they say
- ``controllers``: The controllers' translation tables that are shipped, read once a process: what each revision can
  say
- ``exposure``: Whether the API may be reached from elsewhere: without a provider, whoever reaches it is an
  administrator
- ``log_lines``: What one log line is: a record without secrets, of bounded size, on one line, whatever was given to it
- ``logs``: Structured logs: for people on a terminal, as JSON for machines. One line a record, in both
- ``memory``: How a process that serves collects its garbage
- ``modes``: Who may read the folders and files that this product makes on a machine: its own user, and nobody else
- ``observing``: What a process tells of itself to whoever is on call: metrics and traces
- ``openid``: The OpenID provider, as the product asks it: discovery, keys, codes for tokens, and whose a token is
- ``remembered``: What is asked of a server that may hang or be away: what it said last goes on being used while it is
  asked again
- ``search_attributes``: The search attributes by which Temporal's UI and CLI find a workflow at a glance
- ``secrets``: The product's secrets: where they are read from, and what is kept secret with them
- ``servers``: PostgreSQL and Temporal as embedded defaults, and the processes that they and the product run in
- ``settings``: The product's settings, from the environment. Everything has a default that works on one machine
- ``supervision``: Tasks that last as long as their process: a task that ends is started again, whatever ended it
- ``temporal``: The connection to Temporal, configured by Temporal's own environment variables and files
- ``version``: The product's version, as ``pyproject.toml`` says it: the one place that does
- ``workers``: What a process of the worker is to Temporal: the queues that it serves, and the version that it is of
"""
