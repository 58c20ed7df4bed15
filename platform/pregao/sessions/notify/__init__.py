"""Notifications of what a person may want to know while they are away: off unless turned on.

`targets` says where to, `messages` what is said, `courier` brings it there, out of the journal and after the fact: a
session neither waits for a notification nor knows of it.
"""
