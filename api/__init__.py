"""The HTTP facade: thin routers, their schemas, and the operator pages.

- ``base``: What every route stands on: who acts, what it is given, types, refusals, versions, what lives as long as
  the process
- ``edge``: What stands before the routes and around them: the guard, the fast path, large answers, the OpenAPI document
- ``access``: Signing in, tokens and grants: how callers prove who they are, and what they may do
- ``site``: Depots, their import, and everything that is configured in one
- ``provisioning``: Microgrids with Resync, and backfills
- ``monitoring``: Packets in; statuses, events and load out
- ``controllers``: Controller bindings and their live test
- ``simulation``: Scenarios and their runs
- ``ui``: The operator pages: rendered here on the server, brought to life by htmx
- ``health``: Is it alive, can it work, and what do its figures say
- ``main``: The API process: `uvicorn api.main:create_app --factory`
"""
