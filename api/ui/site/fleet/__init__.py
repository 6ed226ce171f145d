"""The pages of the fleet as a whole.

- ``imports``: Imports: upload a fleet's file, watch it being stored, and see every line that was refused
"""
