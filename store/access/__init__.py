"""Access as stored: people, sessions, grants, API tokens and the secrets of gateways."""
