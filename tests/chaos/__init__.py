"""The real daemon, many of them, on a real broker, while everything goes wrong that may.

``plan`` draws from one seed what goes wrong, ``run`` lets it happen, ``verdict`` says from outside
whether all of it ended right; ``fates`` says so of a topic whose log fails. ``python -m
tests.chaos`` does that for as long as you like.
"""
