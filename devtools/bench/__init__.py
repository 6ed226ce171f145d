"""Measurements: everything that is compared runs side by side in one run, so the ratios hold on any machine.

- ``baselines``: What the product is measured against
- ``credentials``: Packet ingest with the secrets of gateways beside the same without, in turn, in one API process
- ``deadlines``: Ten thousand circuits whose fail-safe falls due at once, beside one bare UPDATE of the same rows
- ``figures``: Figures: medians, percentiles, rates
- ``fleets``: Benchmarks of whole fleets
- ``history``: `./dev bench history`: what a long history takes and costs to read, beside the bare database
- ``load``: A load generator in a process of its own: many clients, each sending its next request as soon as it is
  answered
- ``observing``: What it costs that the product is observed
- ``product``: The product for a benchmark: servers of its own, and each part a process that can be killed
- ``restart``: `./dev bench restart`: from the kill of a process until its work is done again, beside the mere start of
  one
- ``runners``: What a benchmark runs in processes of its own: the API, the load, the baseline; and their processor time
- ``simulation``: `./dev bench simulation`: steps a second beside the same packets posted in a loop, and equal hashes
  of equal runs
- ``site``: Depots with controllers for measuring, and the packets that their gateways send
- ``stage``: The stage of a benchmark: a PostgreSQL and a Temporal of its own, and databases copied from one that is
  filled
- ``telemetry``: `./dev bench telemetry`: packet ingest, the latest-status read and the deadlines, each beside its
  baseline
"""
