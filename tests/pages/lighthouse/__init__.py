"""Lighthouse audits every page. Its packages stand beside the tests: nothing else needs them."""
