"""A sweep: one strategy with many settings over the same instruments, each setting exactly a single backtest."""
