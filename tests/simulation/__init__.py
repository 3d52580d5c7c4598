"""A deterministic simulation of the real loop: many processes, brokers and an API, from one seed.

See `world` for the course of things, `oracle` for what must never happen. Run it with
``python -m tests.simulation``.
"""
