"""What browsers send without a script.

- ``form_tokens``: How a form proves that it is of the session's own pages where no script sends it: a token in its
  first field
"""
