"""Reports on a backtest: what a person reads (a tear sheet) and what a program reads (JSON, CSV, Parquet)."""
