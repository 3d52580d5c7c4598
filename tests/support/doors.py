"""A Kafka with every door: a listener for each way to log in, and rights for each who comes."""

from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, UserScramCredentialUpsertion

from tests.support import authorizer
from tests.support.kafka import Broker
from tests.support.token_endpoint import CLIENT_ID
from tests.support.waiting import PATIENCE_SECONDS, eventually
from tests.support.ways import SCRAM, WAYS, Way, listener_properties, plain_user, scram_user

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tests.support.authorizer import Right
    from tests.support.certificates import Authority, Files, Issued
    from tests.support.kafka import Proxied
    from tests.support.token_endpoint import TokenEndpoint

_ALLOWED_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
_ITERATIONS = 4096


class Door(NamedTuple):
    """A listener that can be cut off, and what lets in there.

    ``settings`` are variables; what a login takes beside them, as properties of librdkafka, is
    ``kafka_config``.
    """

    way: Way
    proxied: "Proxied"
    settings: "Mapping[str, object]"
    kafka_config: "Mapping[str, object]"

    @property
    def principal(self) -> str:
        """Who comes in there, for the broker."""
        return self.way.principal


class Doors(Broker):
    """Its own address, the tests', asks nobody for anything, and who comes there may do anything.

    Whoever comes by a door may do nothing until they are allowed to. ``authority`` signs the
    certificate that the broker shows, and those that it takes; ``tokens`` has to be for a way that
    takes signed ones, and is about its user from now on.
    """

    def __init__(
        self,
        authority: "Authority",
        ways: "Iterable[Way]" = WAYS,
        tokens: "TokenEndpoint | None" = None,
    ) -> None:
        self._ways = list(ways)
        self._authority = authority
        self._tokens = tokens
        self._passwords = {way.name: f"{way.name}-password" for way in self._ways}
        self._keys_url = tokens.jwks_url if tokens else ""
        for way in self._ways:
            if way.is_signed and tokens is not None:
                tokens.subject = way.name
        super().__init__(
            proxied_listeners=len(self._ways),
            properties=self._properties(authority.issue("broker")),
            system={_ALLOWED_URLS: self._keys_url},
            passwords=[
                argument
                for way in self._ways
                if way.mechanism in SCRAM
                for argument in scram_user(way, self._passwords[way.name])
            ],
        )
        self._own()
        self._certificates = {
            way.name: self._issued(way) for way in self._ways if not way.mechanism
        }

    def door(self, way: Way) -> Door:
        """Return a door, with what is good there now."""
        proxied = self.proxied(self._ways.index(way))
        settings: dict[str, object] = {
            "KAFKA_BOOTSTRAP_SERVERS": proxied.bootstrap,
            "KAFKA_SECURITY_PROTOCOL": way.protocol,
        }
        if way.is_encrypted:
            settings["KAFKA_SSL_CA_LOCATION"] = self._authority.path
        if way.mechanism:
            settings["KAFKA_SASL_MECHANISM"] = way.mechanism
        variables, config = self._login(way)
        return Door(way, proxied, settings | variables, config)

    def allow(self, principal: str, rights: "Collection[Right]") -> None:
        """Allow somebody these things, who had none of these rights."""
        authorizer.allow(self._admin, principal, rights)

    def take_away(self, principal: str, rights: "Collection[Right]") -> None:
        """Allow somebody these things no more."""
        authorizer.take_away(self._admin, principal, rights)

    def set_password(self, way: Way, password: str) -> None:
        """Let the user in with this password and no other; nobody stays in."""
        self._passwords[way.name] = password
        door = self.door(way)
        if way.mechanism == "PLAIN":
            name, value = plain_user(way, self._listener(way), password)
            self.configure({name: value})  # which is read at a start only
            return
        how = ScramCredentialInfo(SCRAM[way.mechanism], _ITERATIONS)
        change = UserScramCredentialUpsertion(way.name, how, password.encode())
        self._admin.alter_user_scram_credentials([change])[way.name].result()
        eventually(
            lambda: _lets_in(door), PATIENCE_SECONDS, "the new password", ignoring=(KafkaException,)
        )
        door.proxied.proxy.reset()

    def _login(self, way: Way) -> "tuple[dict[str, object], dict[str, object]]":
        """Return who comes, as variables and as properties of librdkafka."""
        if not way.mechanism:
            files = self._certificates[way.name]
            return {
                "KAFKA_SSL_CERTIFICATE_LOCATION": files.certificate,
                "KAFKA_SSL_KEY_LOCATION": files.key,
                "KAFKA_SSL_KEY_PASSWORD": self._passwords[way.name],
            }, {}
        if way.mechanism != "OAUTHBEARER":
            password = self._passwords[way.name]
            return {"KAFKA_SASL_USERNAME": way.name, "KAFKA_SASL_PASSWORD": password}, {}
        if way.is_signed:
            assert self._tokens is not None, "where would they come from?"
            return {
                "KAFKA_OAUTH_PROVIDER": "oidc",
                "KAFKA_OAUTH_TOKEN_ENDPOINT_URL": self._tokens.url,
                "KAFKA_OAUTH_CLIENT_ID": CLIENT_ID,
                "KAFKA_OAUTH_CLIENT_SECRET": self._tokens.client_secret,
            }, {}
        return {}, {
            "enable.sasl.oauthbearer.unsecure.jwt": True,
            "sasl.oauthbearer.config": f"principal={way.name}",
        }

    def _issued(self, way: Way) -> "Files":
        """Return where the user's certificate lies, with its key behind the password."""
        folder = self._folder / way.name
        folder.mkdir()
        return self._authority.issue(way.name).encrypted(self._passwords[way.name]).put(folder)

    def _properties(self, shown: "Issued") -> dict[str, str]:
        """Return the properties of a broker with these listeners."""
        protocols = {self._listener(way).upper(): way.protocol.upper() for way in self._ways}
        protocols |= dict.fromkeys(("MAIN", "CONTROLLER"), "PLAINTEXT")
        properties = {
            **authorizer.NOTHING_UNTIL_ALLOWED,
            "num.network.threads": "1",  # for each listener
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in protocols.items()
            ),
        }
        for way in self._ways:
            password = self._passwords[way.name]
            listener = way, self._listener(way)
            properties |= listener_properties(
                *listener, shown, self._authority, password, self._keys_url
            )
        return properties

    def _listener(self, way: Way) -> str:
        return f"proxied{self._ways.index(way)}"


def _lets_in(door: Door) -> bool:
    """Come with user and password. Raises KafkaException if they are refused."""
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in door.settings.items()
    }
    asking = AdminClient({**given, "log_level": 2})  # that it is refused at first is no news
    return bool(asking.list_topics(timeout=2).brokers)
