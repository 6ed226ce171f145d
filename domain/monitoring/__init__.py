"""The rules of what a site reports: packets, what they do to it, the capabilities' statuses and their age.

- ``action_answers``: What the sensor actions of a device answer for one packet
- ``alarms``: Alarms of a depot: what of it needs attention, the worst first
- ``batch_state``: What a batch of packets does: the one place where sensor actions meet the state of a site
- ``capabilities``: Capability status of a microgrid: what a value means, and which of many events is the latest
- ``depot_orders``: The orders of the list of depots: each from one end or from the other, and which one a list has by
  itself
- ``device_readings``: Typed readings: what one device measured at one time, read from its packets by the rules of the
  contract
- ``freshness``: Whether a status is recent enough to trust
- ``packet_schema``: The packet contract as a JSON Schema, made of the same bounds as the parser in
  ``domain.monitoring.packets``
- ``packets``: The IoT sensor packet: the wire contract between gateways and the product, in this one place
- ``repeats``: A reading counts once, by gateway, sensor, measurand and time of measurement: what a packet is that came
  again
- ``upkeep``: What the durable upkeep of the site takes and answers: the capacity watch, the history's months, the
  drift audit
"""
