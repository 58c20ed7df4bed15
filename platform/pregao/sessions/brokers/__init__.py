"""Brokers: who executes a session's orders. The paper engine is one transport behind the seam, an exchange another.

`contract` is the seam, `router` what makes every order arrive once whatever breaks, `orders` its durable memory,
`limits` and `permission` what stands before the wire.
"""
