"""What every rule stands on: problems and their codes, texts, times, names, JSON that is taken as it is meant.

- ``actor``: Who acts
- ``bounds``: How many things of a kind a depot may have. A real site is far below, and all that is done for one stays
  short
- ``clocks``: The clocks of whoever reports, which may be wrong
- ``job_endings``: How a job ends where its row and its workflow disagree
- ``jobs``: A job: work that a workflow does, and that people watch, pause, resume and cancel
- ``names``: What a depot, a circuit, a device or a power source may be called, and how a packet names a sensor
- ``ndjson``: Lines out of a stream of bytes, numbered, with a bound on what is held of any one of them
- ``problems``: The stable codes by which the product refuses something, all that is said of each, and the error that
  carries one
- ``strict_json``: JSON as packet ingest takes it: what is no JSON at all, and what must not be stored although it is
- ``texts``: What a text may be, in the same way everywhere: names, ids of sensors, references, scenarios, actors,
  search terms
- ``times``: Which moments the product takes: from the beginning of 1970 to the end of 9999, in UTC
- ``timezones``: Which time zones a depot may lie in: those of the IANA database that comes with the product
- ``versions``: The version of what people edit: it increases with every change, so that a stale one is refused with
  what changed
- ``violations``: What is wrong with a document, and where: a JSON pointer, a stable code, a reason for people
"""
