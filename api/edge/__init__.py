"""What stands before the routes and around them: the guard, fast lanes, large answers, the
OpenAPI document.

- ``document``: The OpenAPI document: what every operation has, made in one place, so that outside tools read the API
  well
- ``glossary``: What the names of the API's fields and parameters mean, wherever one of them appears
- ``guard``: The guard of the whole application: nothing is reached past it, and no answer leaves without its headers
- ``lanes``: Fast lanes: the few routes that are called thousands of times a second, past the framework's routing
- ``large``: Answers that grow with a depot: made in a thread and sent in pieces, so that nobody else waits for them
- ``located``: Says in ``Location`` where to find what a request made or started
- ``requests``: Each request has an id, which its log lines and its answer carry, and at most one error of it is logged
"""
