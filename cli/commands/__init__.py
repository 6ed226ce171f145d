"""What people call: each command, and `./dev up`, the whole product on one machine.

- ``backfill``: `./dev backfill`: gives every depot of the legacy fleet its microgrid
- ``export``: `./dev export`: has a job make a file of readings or of a history, watches it, and downloads the file
- ``fleet_import``: `./dev import`: takes a legacy fleet in
- ``fleet_make``: `./dev fleet`: makes a legacy fleet to try the product with
- ``login``: `./dev login` and `./dev logout`: the command line signs in as a person, by the device flow of the
  provider
- ``openid``: The OpenID provider of `./dev up --sign-in`: npm's oidc-provider on the loopback, with one demo person a
  role
- ``resync``: `./dev resync`: makes a depot's microgrid equal to its circuits again
- ``scenario``: `./dev scenario`: scenarios of the depot simulation, as far as they need no running product
- ``scenario_run``: `./dev scenario run` and `diff`: scenarios run against a product, and where two runs differ
- ``services``: What `./dev up` runs besides the embedded servers: the migration, the worker, the API
- ``simulation_site``: Sets up, through the public API, what the simulated controller drives in a depot. Doing it again
  changes nothing
- ``supervisor``: Keeps processes alive: starts them, starts again those that end by themselves, and ends them in good
  order
- ``token``: `./dev token`: creates, lists and revokes API tokens
- ``up``: `./dev up`: brings the whole product up on this machine and keeps it up until Ctrl-C
"""
