"""Classic strategies for Pregão."""
