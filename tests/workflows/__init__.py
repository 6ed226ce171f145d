"""What all workflows have in common: replay, changes of one that runs, retries of steps."""
