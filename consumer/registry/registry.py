"""The registry at one or several URLs: a question to it, and what came of that.

One after the other is asked, the one that answered last first, until one has what is asked for. A
client is kept as long as all is well; the next question after a failure makes a new one, with the
certificates that the files have by then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from consumer import clock
from consumer.core.schemas.answers import Entry, Failed, NotThere, meaning_of
from consumer.customerio.client import Client
from consumer.customerio.wire import Exchange

TIMEOUT_SECONDS = 10.0
"""For one question to one URL, from connecting to the answer's last byte."""

_MOST_BYTES = 16 * 1024 * 1024  # a schema of some megabytes is one that a generator made


@dataclass(frozen=True, slots=True)
class Access:
    """How one URL of the registry is reached. ``url`` has no credentials, ``proxy_url`` may.

    ``certificate`` is that of this client, and the file of its key, if that is another one.
    """

    url: str
    proxy_url: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    certificate: tuple[str, str | None] | None = None


class Registry:
    """Owned by one thread. ``authorization`` returns what a request has to say of who asks."""

    def __init__(
        self,
        access: tuple[Access, ...],
        authorization: Callable[[], bytes | None],
        user_agent: str,
    ) -> None:
        self._access = list(access)
        self._authorization = authorization
        self._user_agent = user_agent
        self._clients: dict[Access, Client] = {}

    def ask(self, path: str) -> Entry | NotThere | Failed:
        """Return what is at a path. Raises nothing for what network and servers do."""
        failures: list[str] = []
        not_there: NotThere | None = None
        for access in self._access[:]:
            match self._ask_one(access, path):
                case Entry() as entry:
                    self._access.sort(key=lambda each: each is not access)
                    return entry
                case NotThere() as found:
                    not_there = found
                case Failed(detail):
                    failures.append(f"{access.url}: {detail}")
        return not_there or Failed("; ".join(failures))

    def close(self) -> None:
        """Close what is open."""
        for access in list(self._clients):
            self._clients.pop(access).close()

    def _ask_one(self, access: Access, path: str) -> Entry | NotThere | Failed:
        try:
            client = self._clients.get(access) or self._connect(access)
        except (OSError, ValueError) as error:  # OpenSSL's own words may have the path, no more
            return Failed(f"its certificates can't be used ({type(error).__name__}: {error})")
        exchange = Exchange(clock.now() + TIMEOUT_SECONDS, inf)
        answer = client.request(b"GET", path.encode(), None, self._authorization(), exchange)
        found = meaning_of(answer)
        if isinstance(found, Failed):
            self._clients.pop(access).close()
        return found

    def _connect(self, access: Access) -> Client:
        client = self._clients[access] = Client(
            access.url,
            timeout_seconds=TIMEOUT_SECONDS,
            max_connections=1,
            proxy_url=access.proxy_url,
            ssl_cert_file=access.ca_file,
            user_agent=self._user_agent,
            certificate=access.certificate,
            most_bytes=_MOST_BYTES,
        )
        return client
