"""Access as stored: people, sessions, grants, API tokens and the secrets of gateways.

- ``grants``: Grants as they are stored: who has which role, at one depot or at all of them
- ``tables``: The tables of who may do what
"""
