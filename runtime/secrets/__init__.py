"""The product's secrets: where they are read from, and what is kept secret with them.

- ``files``: Secret settings that stand in files instead of the environment
"""
