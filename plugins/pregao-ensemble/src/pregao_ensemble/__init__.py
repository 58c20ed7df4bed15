"""Several strategies as one, weighed by their recent records, a strategy for Pregão."""
