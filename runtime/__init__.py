"""What every process needs before it can work: settings, the Temporal connection, logging."""
