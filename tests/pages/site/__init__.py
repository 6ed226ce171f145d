"""The pages of access: signing in and out, grants."""
