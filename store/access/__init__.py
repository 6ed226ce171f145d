"""Access as stored: people, sessions, grants and the journal.

- ``api_tokens``: API tokens as they are stored: none of them can be read back
- ``depot_of``: To which depots things belong: what the paths of routes name, looked up in one statement
- ``gateway_secrets``: Secrets of gateways as they are stored: at most two a gateway, none of which can be read back
- ``grants``: Grants as they are stored: who has which role, at one depot or at all of them
- ``journal``: Reading the journal of all depots: filtered, the last entry first, and only within the depots of whoever
  reads
- ``narrowing``: Narrowing of statements to the depots at which something is permitted: what lies elsewhere is never
  read
- ``people``: People who signed in, with what the provider said of them when they last did
- ``sessions``: Sessions of people, and sign-ins that are under way at the provider
- ``tables``: The tables of who may do what, and of who proved who they are
- ``worker_tokens``: Tokens by which the worker, which shares the database with the API, proves to it who it is
"""
