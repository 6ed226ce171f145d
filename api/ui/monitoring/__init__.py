"""What a depot does now and did lately.

- ``load``: The load page of a depot: its Microgrid card, the load beside the capacity, and what holds now
- ``overview``: The first page: how the fleet does, and which depots need attention most
"""
