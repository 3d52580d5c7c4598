"""Curves of what operators ask: each drawn and tabulated by one command, beside this file.

python -m tests.bench.curves restart|outage|load|rollout
"""
