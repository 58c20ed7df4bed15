"""The pages, each a function that lays it out inside the app's Blocks."""
