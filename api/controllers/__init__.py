"""Controller bindings and their live test.

- ``controller_bindings``: Controller bindings: which device supplies which capabilities of a microgrid
- ``controller_packets``: The live test of a controller binding: wait for the next packet of its device, and say what
  it updates
"""
