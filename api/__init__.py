"""The HTTP facade: thin routers, their schemas, and the operator pages.

- ``access``: Signing in, tokens and grants: how callers prove who they are, and what they may do
- ``base``: What every route stands on: who acts, what it is given, types, refusals, versions, what lives as long as
  the process
- ``controllers``: Controller bindings and their live test
- ``edge``: What stands before the routes and around them: the guard, the fast path, large answers, the
- ``health``: Is it alive, can it work, and what do its figures say
- ``history``: What was measured over time
- ``main``: The API process: `uvicorn api.main:create_app --factory`
- ``monitoring``: Packets in; statuses, events and load out
- ``provisioning``: Microgrids with Resync, and backfills
- ``simulation``: Scenarios and their runs
- ``site``: Depots, their import, and everything that is configured in one
- ``ui``: The operator pages: rendered here on the server, brought to life by htmx
"""
