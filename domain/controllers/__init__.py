"""The rules of microgrid controllers: what each can say, and which device supplies which capability.

- ``controller_bindings``: Controller bindings: which device supplies which capabilities of a microgrid
- ``controller_support``: What a device's controller can say at all, by its revision's table; None is a device of which
  nothing is known
- ``controller_tables``: Reads the translation table of a controller revision from a document that was already loaded,
  from YAML say
- ``controller_translation``: From a controller's inputs to generic measurands, by a table: one table a controller
  revision, and no code
"""
