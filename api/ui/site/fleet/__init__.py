"""The pages of the fleet as a whole.

- ``imports``: Imports: upload a fleet's file, watch it being stored, and see every line that was refused
- ``saved_views``: Saved views of the list of depots: save one, and the page that lists, renames and deletes them
"""
