"""Market data: sources bring it, quality judges it, the store keeps it, versions name it, feeds play it."""
