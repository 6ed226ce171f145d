"""Signing in, tokens and grants: how callers prove who they are, and what they may do.

- ``api_tokens``: API tokens: listed, created and revoked by their owners, and by administrators of all depots
- ``authentication``: Who makes a request, by the proof that it carries, in the order of decision 0025
- ``authorization``: Whether who makes a request may use its route, at the depots that it names
- ``back_channel``: Where the provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0)
- ``browser``: What browsers send without a script
- ``certificates``: Client certificates that a reverse proxy has checked: the proxy names them in a header, and is
  believed where it is
- ``cookies``: The cookies of signing in. All are `__Host-`: of this host alone, for its whole path, and never sent in
  the clear
- ``gateway_secrets``: Secrets of a gateway: listed, created and revoked
- ``grants``: Grants: who has which role where; what a change of that would give or take
- ``journal``: The journal: who did what to what, when and from where, with before and after
- ``payload_codec``: The codec of Temporal's payloads for Temporal's UI and command line, which show what they cannot
  decrypt themselves
- ``provider``: What there is only where a provider is configured, and what the API says of it
- ``senders``: Of which gateways somebody may send packets, and whether they are simulated
- ``sessions``: Sessions: who is signed in, since when and from where; ended by whom they are of, or by an
  administrator
- ``sign_in``: Signing in by the authorization code flow, with PKCE, ``state`` and ``nonce``; and the session that
  begins then
"""
