"""The demonstration in `./dev up`: a small fleet that is there, has a past, and works.

- ``fleet``: The demo fleet at work: depots with a week behind them play a day in real time, one of them with incidents
- ``intake``: The demonstration in `./dev up`: a fleet comes in, every depot gets its microgrid, and one is brought to
  life
- ``past``: The last week of the demo depots: what a scenario run would have sent in it, written as of when it would
  have come
- ``scenario``: The scenario of a demo depot: days without an incident, or with one each hour, from whatever hour it is
  there
"""
