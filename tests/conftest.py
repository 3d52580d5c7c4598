"""Names the plugins that hold the fixtures, and lets Ctrl-C reach what tests start."""

import signal

pytest_plugins = [
    "pytester",
    "tests.support.selection",
    "tests.support.evidence",
    "tests.support.fixtures",
    "tests.support.authorizer",
    "tests.support.api_fixtures",
    "tests.support.scenario_fixtures",
]

# A shell starts a background job with SIGINT ignored, children inherit that, and Python then leaves
# it so: the processes under test would not hear Ctrl-C. What has a handler is reset for a child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
