"""What stands before the routes and around them: the guard, the fast path, large answers, the
OpenAPI document.

- ``compression``: Answers are compressed for whoever takes them so, as ``Accept-Encoding`` says (RFC 9110, 12.5.3)
- ``document``: The OpenAPI document: what every operation has, made in one place, so that outside tools read the API
  well
- ``fast_path``: The fast path: the few routes that are called thousands of times a second bypass the framework's
  routing
- ``glossary``: What the names of the API's fields and parameters mean, wherever one of them appears
- ``guard``: The guard of the whole application: nothing is reached past it, and no answer leaves without its headers
- ``large``: Answers that grow with a depot: made in a thread and sent in pieces, so that nobody else waits for them
- ``located``: Says in ``Location`` where to find what a request made or started
- ``requests``: Each request has an id, which its log lines and its answer carry, and at most one error of it is logged
- ``routes``: The routes of the modules, each made once in a process
- ``temporal_ui``: What lets Temporal's UI, a page of another origin, ask the codec of its payloads: CORS, for its
  origin alone
"""
