"""The HTTP facade: thin routers, their schemas, and the operator pages."""
