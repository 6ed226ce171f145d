"""Retryable steps that touch the world. Each one says what happens when it runs twice."""
