"""What every process needs before it can work."""
