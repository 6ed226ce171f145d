"""The operator pages: rendered here on the server, brought to life by htmx.

- ``base``: What every page stands on: rendering, words, forms, conflicts, live updates, links
- ``access``: Signing in and out
- ``site``: The depots' list and the pages and dialogs of what is configured in one
- ``provisioning``: The Microgrid tab with the dialogs of its circuits, and the Backfill monitor
- ``monitoring``: What a depot does now and did lately
- ``controllers``: The Controllers tab, its dialogs and its live test
- ``simulation``: Scenarios, a run as it goes, and two runs beside each other
- ``pages``: All pages, put into the application
"""
