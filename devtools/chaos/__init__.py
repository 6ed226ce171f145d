"""`./dev chaos`: the real product under traffic and faults, and a checker that shares no code with it.

- ``broker``: An MQTT broker as a process of its own: the system's mosquitto
- ``caller``: Sends requests to the API, each noted before it is sent and after its answer
- ``checker``: The checker: it reads the database, Temporal's list of workflows and the log of requests, and shares no
  code with
- ``editors``: Depots that are created, and circuits that change all the time: who adds, renames, moves and deletes
- ``faults``: Faults by seed: what is done to which part, for how long, and what comes next
- ``jobs``: Jobs in the middle of the faults: imports with backfills, exports, and scenario runs one after the other
- ``probes``: How long it takes until the product works again: a probe each for reads, writes, packets and syncs
- ``read_watch``: Reads all of the time: how many fail around a fault, and how long nobody is answered
- ``report``: What came of a chaos run: a table for the terminal, JSON for programs, Markdown for the documentation
- ``request_writer``: Writes the log of requests: what is about to be sent, and what was answered
- ``run``: One chaos run, from the first process to the verdict
- ``senders``: Gateways that send packets over HTTP and MQTT, a provider that posts statuses, and those who read them
- ``site``: The depots of a chaos run, made before the traffic begins
- ``stack``: The product that faults are done to: servers of its own, each part a process that can be killed and paused
"""
