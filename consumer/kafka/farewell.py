"""How a client of librdkafka is let go: on a thread of its own, for its end may take a minute.

It waits for a token that is being fetched (librdkafka 2.16, ``rd_kafka_destroy`` with
``sasl.oauthbearer.method=oidc``), from an endpoint that may hang, and for whoever is being called.
"""

import threading
from typing import Any


def let_go(clients: list[Any]) -> threading.Thread:
    """End the clients of a list that nobody else holds; return the thread, which ends with them.

    A list, for a variable of the caller's would keep its client to its own thread.
    """
    thread = threading.Thread(target=clients.clear, name="ending", daemon=True)
    thread.start()
    return thread
