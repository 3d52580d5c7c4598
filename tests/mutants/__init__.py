"""Mutants: small wrong changes to the core and the loop, each of which the suite must notice.

A test that passes says little until something made it fail. Here are the mistakes that this code
invites, and those that it had, each with the promise that it breaks. Each is made in a copy of the
repository; the simulator is asked first, then the tests that are there for it. One that nobody
notices is a test that is missing.

python -m tests.mutants [--only NAME] [--list] [--seeds N] [--jobs N]
"""
