"""The pages of the fleet as a whole.

- ``imports``: Imports
"""
