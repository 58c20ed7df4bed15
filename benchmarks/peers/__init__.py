"""Pregão beside other backtesting engines: the same job, their trades one by one, their speed in one run.

See `README.md`; run it with ``python -m benchmarks.peers``.
"""
