"""The record of policies of reinforcement learning: ``python -m benchmarks.policies``."""
