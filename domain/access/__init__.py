"""Who may do what: roles, what each permits, where it is granted, and who acts.

- ``api_tokens``: API tokens: what scripts and CI prove with who made them, and how long
- ``attempts``: How many wrong proofs of who somebody is one address may send
- ``gateway_secrets``: Secrets of gateways: how many a gateway has at once, and the account at the MQTT broker that
  each is
- ``grants``: What is granted to whom, and what a grant changes for them
- ``journal``: The journal as it leaves the product
- ``people``: People, as their OpenID provider tells of them
- ``principals``: Who makes a request, with what was granted; whether it may do something, and at which depots
- ``roles``: The roles of people and programs, and what each permits
- ``routes``: Which permission each route asks for, and at which depots: the one table of who may do what
- ``saved_views``: Saved views: what the list of depots is asked for, kept by a person under a name
- ``secrets``: Secrets that the product makes: what they look like, and the digest that is stored instead of them
- ``sessions``: Sessions of people on the pages: how long they last, and where one goes on after signing in
"""
