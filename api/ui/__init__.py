"""The operator pages: rendered here on the server, brought to life by htmx."""
