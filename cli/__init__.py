"""The command line: what `./dev` does."""
