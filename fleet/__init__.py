"""Legacy fleets to try the product with: a shipped one, and a script that makes them."""
