"""Runs and backfills are brought to the end that their workflows came to without having said so."""
