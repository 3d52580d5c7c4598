"""A stand-in of the Track API on loopback: what ``demo``, tests and benches send to.

It is an HTTP/1.1 keep-alive server in a daemon thread. It refuses what the API refuses (login,
path, segment, ``id_type``, body), answers in the API's words, and remembers what it accepted, so
that an outcome can be compared member by member. A *fault* makes it misbehave, request by request.

``python -m consumer.commands.demo.standin --port 8099`` runs one in a process of its own and prints
its URL; ``GET /standin/counters`` and ``GET /standin/members/{segment_id}?id_type=id`` then tell
its state.
"""

from consumer.commands.demo.standin.api import StandinRequest
from consumer.commands.demo.standin.fault import Fault
from consumer.commands.demo.standin.memory import Memory
from consumer.commands.demo.standin.server import Standin

__all__ = ["Fault", "Memory", "Standin", "StandinRequest"]
