"""The product's secrets: where they are read from, and what is kept secret with them.

- ``bearer``: Whether a request carries a token that a setting has
- ``files``: Secret settings that stand in files instead of the environment
- ``keys``: The keys that Temporal's payloads are encrypted with, as a setting has them: several, each with an id
- ``payloads``: Temporal's payloads, encrypted where a key is configured
"""
