"""Page tests of what needs attention: the overview, and the head of a depot."""
