"""What every route stands on: who acts, what it is given, types, refusals, versions, what lives as long as the process.

- ``access``: Who acts: the one place that decides whether a request is let in, and as whom
- ``addresses``: Addresses of the application's own routes
- ``bodies``: JSON bodies, read as packets are: what the product stores is what was validated
- ``dependencies``: What routes are given: who acts, and the resources that the process opened once
- ``flags``: Feature flags, by OpenFeature: from the settings, or from any provider that they name
- ``idempotency``: Creating something once, however often it is asked for: the ``Idempotency-Key`` of the IETF's draft
- ``jobs``: What the API does with jobs of every kind
- ``kept``: What a process keeps in mind between requests
- ``limits``: How large, how slow and how encoded a request's body may be, and how many imports and exports go on at
  once
- ``methods``: Which methods a path takes: HEAD wherever GET is taken, and the whole of ``Allow`` where a method is not
- ``metrics``: What an API process counts of its own, and the figures of the database that it tells Prometheus beside
  that
- ``problems``: Every refusal as an RFC 9457 problem with a stable code
- ``records``: Records of the store as documents of the API, where a document has more than its record
- ``streams``: What live pages and event streams listen to, and when a stream ends
- ``temporal``: Calls to Temporal from routes, and links to its UI
- ``types``: The types that routes share: ids with their description, clean texts, pages of lists
- ``versions``: Versions over HTTP: an answer's ``ETag`` is the version of what it shows, ``If-Match`` asks for one
  (RFC 9110)
"""
