"""Which device supplies which capability of a microgrid, and what its packets would do.

- ``binding_history``: Who changed what of a depot's bindings, as the journal of their sensor actions has it
- ``controller_bindings``: Controller bindings of microgrids: read, validated, made, changed
- ``controller_signs``: Why a controller may be trusted: when it was last heard from, and what its heartbeat said
- ``packet_arrivals``: The next packet of a bound device: what it says, what it did, and what it would have done if the
  binding were on
"""
