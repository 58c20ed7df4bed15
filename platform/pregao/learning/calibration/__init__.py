"""The gate measured: what it lets through on markets of which it is known whether there is anything to learn."""
