"""A stand-in of AWS's signer, for brokers of the tests: its tokens are of a token endpoint.

The folder above takes the library's place on a process's PYTHONPATH.
"""
