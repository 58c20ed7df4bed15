"""Features: one compiled step, driven over history for training and bar by bar for a live session."""
