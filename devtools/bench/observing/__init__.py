"""What it costs that the product is observed.

- ``overhead``: `./dev bench overhead`: packets and syncs of a product that nobody observes, beside one that is
  observed
- ``receiver``: A receiver of traces that keeps nothing, in a process of its own
"""
