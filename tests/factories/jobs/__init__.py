"""Jobs, begun through the API and waited for."""
