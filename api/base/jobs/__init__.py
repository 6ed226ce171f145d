"""What the API does with jobs of every kind.

- ``service``: Reading, listing and controlling jobs: each row is held against its workflow before it is answered
"""
