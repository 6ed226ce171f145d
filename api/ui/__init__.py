"""The operator pages: rendered here on the server, brought to life by htmx.

- ``access``: Signing in and out
- ``base``: What every page stands on: rendering, words, forms, conflicts, live updates, links
- ``controllers``: The Controllers tab, its dialogs and its live test
- ``history``: Pages of what was measured over time
- ``monitoring``: What a depot does now and did lately
- ``pages``: All pages, put into the application
- ``provisioning``: The Microgrid tab with the dialogs of its circuits, and the Backfill monitor
- ``simulation``: Scenarios, a run as it goes, and two runs beside each other
- ``site``: The depots' list and the pages and dialogs of what is configured in one
"""
