"""Prefect flows: thin; they call the library."""
