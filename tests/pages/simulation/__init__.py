"""The pages of the depot simulation: simulated values, and what says so beside them."""
