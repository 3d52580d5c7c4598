"""The command ``demo``: the real daemon on an embedded broker, watched and verified.

Nothing of the environment is used: not its settings, not ``.env``, no proxy.
"""
