"""CatBoost's oblivious trees, evaluated and explained by compiled code: microseconds for the row of a live bar."""
