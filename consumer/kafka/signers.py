"""Where tokens come from that librdkafka can't fetch itself: AWS's and Google's own libraries.

They are extras, and take a while to be imported, so that happens with the first token. Each token
is made of what the libraries find then: files of credentials may be replaced.
"""

import base64
import bisect
import json
import logging
import math
import time
from datetime import UTC
from functools import partial
from typing import Any

from consumer.kafka.tokens import Fetch, Token

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LONGEST_SECONDS = 900  # of a token of AWS's
_NO_CREDENTIALS = (
    "AWS's client finds no credentials: neither variables nor a web identity, a profile, or a"
    " container's or an instance's role"
)


def fetch_of(provider: str, region: str | None) -> Fetch:
    """Return what fetches a token of ``aws-msk-iam``, in a region, or of ``gcp``."""
    return _of_google if provider == "gcp" else partial(_of_aws, region or "")


def _of_aws(region: str) -> Token:
    """Return a URL of the cluster's, signed with the credentials that there are.

    Good for 15 min, or as long as the credentials, if these end sooner. Raises LookupError if there
    are none, and what botocore raises.
    """
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 - an extra
    from botocore.credentials import CredentialProvider, Credentials  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    found = Session().get_credentials()
    if found is None:
        raise LookupError(_NO_CREDENTIALS)

    class Found(CredentialProvider):  # type: ignore[misc]  # botocore has no types
        def load(self) -> Credentials:
            return found

    text, expires_at_ms = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(
        region, Found()
    )
    return Token(text, min(expires_at_ms / 1000, time.time() + _left_of(found)))


def _left_of(credentials: Any) -> float:  # noqa: ANN401 - botocore has no types
    """Return the seconds until credentials end; infinite: that is not within a token's life.

    botocore (1.44) keeps that moment to itself (its issue 2694), and tells in public only whether
    it is less than so many seconds away: `refresh_needed`, of credentials that end.
    """
    ends_within = getattr(credentials, "refresh_needed", None)
    if ends_within is None or not ends_within(_LONGEST_SECONDS):
        return math.inf
    return bisect.bisect_left(range(_LONGEST_SECONDS), True, key=ends_within) - 1.0


def _of_google() -> Token:
    """Return an access token in the form that Google's brokers take: as if it were a JWT.

    As https://github.com/googleapis/managedkafka (``kafka-auth-local-server``) has it.
    Raises what google-auth raises.
    """
    import google.auth  # noqa: PLC0415 - an extra
    from google.auth.transport.requests import Request  # noqa: PLC0415

    logging.getLogger("google.auth").setLevel(logging.ERROR)  # no project is needed here
    credentials: Any = google.auth.default(scopes=[_SCOPE])[0]
    credentials.refresh(Request())
    expires_at = credentials.expiry.replace(tzinfo=UTC).timestamp()  # it is naive
    account = getattr(credentials, "service_account_email", None) or ""
    claims = {"exp": int(expires_at), "iat": int(time.time()), "iss": "Google", "sub": account}
    header = {"typ": "JWT", "alg": "GOOG_OAUTH2_TOKEN"}
    parts = json.dumps(header), json.dumps(claims), credentials.token
    return Token(".".join(map(_encoded, parts)), expires_at)


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
