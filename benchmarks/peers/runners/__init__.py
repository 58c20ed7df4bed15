"""One script per engine, run by the Python of that engine's own environment. They need numpy and that engine only."""
