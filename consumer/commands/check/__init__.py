"""The command ``check``: tries what the daemon will need, and says what came back.

One line for each check: what was tried, what came back, what to do. Nothing is changed: no group is
joined, no topic created, no request for a segment sent, and no record written unless that is asked
for (``--write``). Every wait is bounded.
"""
