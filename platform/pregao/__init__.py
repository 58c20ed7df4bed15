"""Pregão: a personal AI trader that practises with simulated money and can prove every figure it shows."""

__version__ = "0.1.0"
