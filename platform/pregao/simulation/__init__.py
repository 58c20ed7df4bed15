"""The simulation: exact matching and accounting, one compiled step for history and for a live session."""
