"""Benchmarks of whole fleets.

- ``fleet``: `./dev bench fleet`: what the list of depots costs in a large fleet, beside what it costs in a small one
- ``imports``: `./dev bench import`: a legacy fleet imported over HTTP, beside `COPY` of the same rows and of the same
  lines
- ``provisioning``: `./dev bench provisioning`: the backfill beside one bare statement, and the sync beside its
  baseline
"""
