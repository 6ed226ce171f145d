"""Signing in and out.

- ``grants``: The Access page: who has which role where; granting and revoking, each with its effect before it is done
- ``journal``: The Journal page: who did what to what, when and from where, with before and after
- ``sending``: How a gateway sends packets: addresses, topics, and a command that sends one, to be tried or copied
- ``sessions``: The Sessions page: one's own sessions, and for administrators everybody's; each can be ended
- ``sign_in``: Signing in and out: sending people to the provider, taking them back, and the pages at the end of both
- ``tokens``: The page of API tokens: what there are, the dialog that creates one and shows it once, and the one that
  revokes
"""
