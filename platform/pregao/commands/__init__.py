"""The commands, one module a subject. Each imports what it needs when it is called."""
