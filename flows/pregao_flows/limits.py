"""Concurrency limits that the flows share; the runner creates them on the server before it serves."""

from __future__ import annotations

DVC_LIMIT = "dvc"
"""Held while the data repository is committed to or read: DVC's own lock gives up after three seconds."""
