"""What live pages and event streams listen to, and when a stream ends.

- ``live``: What live pages listen to: one hub a process, which finds out what has changed of what they show
- ``rights``: Event streams end when the rights of who reads them change: a stream was permitted once, and goes on for
  hours
- ``watch``: Who watches a depot hears of its changes: one PostgreSQL listener a process, any number of watchers
"""
