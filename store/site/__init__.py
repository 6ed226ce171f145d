"""A site as it is configured, with what follows from its configuration in the same transaction.

- ``capacities``: The capacity of circuits that follow a controller: the state that is kept, and which circuit follows
  what
- ``circuits``: Circuits: the tree of a depot, and every change to it, in one transaction under the depot's lock
- ``deletions``: What a deletion would take along at this moment, and whether that is still what somebody agreed to
- ``depots``: Depots: created with their circuits, listed, read, locked
- ``devices``: Devices: the sensors of a gateway, and the circuit that each is linked to
- ``fleet``: Many depots at once: the list that is kept of them, and the import
- ``gateways``: Gateways: what sends the packets of a depot's devices
- ``packet_contexts``: The contexts of a batch of packets: configuration and states of their gateways, read in a few
  queries for all
- ``power_sources``: Power sources of a depot, with the latest that devices measured of each
- ``remediations``: Remediations: what stops updates by a site's configuration, listed with names, and closed
- ``resolutions``: What a device's sensor actions write to today, by the rules that packets are taken by
- ``sensor_actions``: Sensor actions of devices: made, changed, switched on and off, under the rules of
  ``domain.site.sensor_actions``
- ``site_changes``: Changes of a site's configuration: each is a block of ``configuration_change``, from the lock to
  the notification
- ``site_overview``: What a list of gateways and devices says of each besides what it is: its devices, its actions,
  when it sent
- ``tables``: The tables of a site as it is configured, with what follows from its configuration at once
"""
