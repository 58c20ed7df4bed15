"""The CatBoost AI, a strategy for Pregão."""
