"""Paper-trading sessions: what a person asked for, the journal of what happened, and how it survives."""
