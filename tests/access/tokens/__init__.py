"""Tokens of others and of the product, and what happens to those who guess them."""
