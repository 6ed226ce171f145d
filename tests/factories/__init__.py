"""What tests begin with, one module a subject.

- ``depots``: depots as rows: circuits of any depth and number, equipment of any number, whole fleets
- ``sites``: a depot with gateway, devices and sensor actions as rows, and the packets that they send
- ``equipped_depots``: the same through the API, as a person makes it
- ``capacities``, ``load_sites``: sites whose circuits follow controllers, and whose load has a history
- ``packets``, ``next_packets``, ``folds``: packets as gateways send them, who waits for one, what they make current
- ``fleet_lines``, ``fleet_model``: lines of a legacy fleet, and what an import has to make of them
- ``backfills``, ``scenario_sites``: jobs, begun and watched
"""
