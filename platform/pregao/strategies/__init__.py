"""Strategies: the plugin contract, discovery, and the desk that runs one over bars."""
