"""What every part agrees on: exact money, timeframes, instruments, bars, errors. No I/O, no clock."""
