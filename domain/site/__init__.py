"""The rules of a site as it is configured: circuits, devices, sensor actions, routing, what capacity follows.

- ``action_outcomes``: What a sensor action answers for one packet
- ``capacity_following``: What a change of the configuration does to a circuit's capacity: it begins to follow, begins
  anew, or is released
- ``capacity_messages``: Why the capacity of a circuit is what it is, in words for an operator
- ``circuit_capacity``: The capacity of a circuit that follows a microgrid controller, and the fail-safe that holds
  without it
- ``circuits``: A depot's circuits as a forest: who hangs under whom, in which order, and what may be changed
- ``deletions``: What a deletion takes along, and the consent to it: it holds for what was shown, and for nothing that
  came since
- ``fleet``: The legacy fleet, line by line: what a line must say, and why a line is refused
- ``imports``: Imports of a fleet that are jobs
- ``measurands``: The standard measurand keys of the packet contract: what each means, its unit, and the values that it
  takes
- ``packet_context``: The context of a gateway's packets: its sensors, their sensor actions, and what these can reach
- ``remediations``: What stops an update although the packet is good, and what a person does about it
- ``resolution``: What a sensor action writes to under the site's configuration, or what stops it
- ``routing``: Which power source a device's update belongs to, and when that cannot be known
- ``sensor_action_forms``: What a person gives to make or change a sensor action: its configuration, and whether it is
  switched on
- ``sensor_actions``: What a device's measurements may update: the four sensor actions, and what each may be given
"""
