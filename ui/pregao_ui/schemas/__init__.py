"""What the API says, typed, one module a topic: the same shapes serve the page, scripts and the OpenAPI document.

Times are in seconds since 1970 UTC, money in the instrument's quote currency, rates in per cent.
"""
