"""The Controllers tab, its dialogs and its live test.

- ``controller_forms``: The dialogs of the Controllers tab: bind a device, change a binding, switch it on or off,
  delete it
- ``controller_words``: How the controllers page says things: bindings, what they supply, what saving one does, what
  packets did
- ``controllers``: The Controllers tab of a depot: which device supplies which capability of the microgrid, and the
  live test of it
"""
