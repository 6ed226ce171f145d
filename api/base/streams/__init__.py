"""What live pages and event streams listen to, and when a stream ends.

- ``live``: What live pages listen to: one hub a process, which finds out what has changed of what they show
- ``rights``: What was permitted once and goes on is judged anew when rights change: event streams, secrets kept in
  mind
- ``watch``: Notifies watchers of the changes of a depot: one PostgreSQL listener a process, any number of watchers
"""
