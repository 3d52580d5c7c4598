"""The signer's one module, as far as it is used."""  # noqa: N999 - the library's name

import os
import time
from typing import Any

import httpx

from tests.support.token_endpoint import CLIENT_ID

_FOR_EVER = None


def generate_auth_token_from_credentials_provider(region: str, provider: Any) -> tuple[str, int]:  # noqa: ANN401 - botocore has no types
    """Return a token and when it is over, in milliseconds; waits for ever, like a bad library."""
    answer = httpx.post(
        os.environ["TOKEN_ENDPOINT_FOR_TESTS"],
        data={"grant_type": "client_credentials", "region": region},
        auth=(CLIENT_ID, provider.load().secret_key),
        timeout=_FOR_EVER,
    )
    if answer.is_error:
        raise PermissionError(f"the signer's words: {answer.status_code} {answer.text}")
    said = answer.json()
    return said["access_token"], round((time.time() + said["expires_in"]) * 1000)
