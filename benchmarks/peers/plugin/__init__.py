"""The job's strategy as a plugin, for what takes its strategies by name."""
