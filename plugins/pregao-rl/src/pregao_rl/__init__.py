"""Reinforcement learning for Pregão: an environment, training, judging, and a strategy that needs none of them."""
