"""The proxy for a URL, as the environment names it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from consumer.settings.exemptions import is_exempt


def proxy_variable(url: str, proxies: Mapping[str, str]) -> str | None:
    """Return the name of the variable that has the proxy for ``url``, as curl chooses it.

    The scheme's before ALL_PROXY, lower case before upper; an empty one switches off.
    """
    if is_exempt(url, proxies.get("no_proxy", proxies.get("NO_PROXY", ""))):
        return None
    for name in (f"{urlsplit(url).scheme}_proxy", "all_proxy"):
        variable = name if name in proxies else name.upper()
        if proxies.get(variable):
            return variable
    return None


def with_scheme(proxy: str) -> str:
    """Return a proxy's URL; ``host:port`` alone means http, as everywhere."""
    return proxy if "://" in proxy else f"http://{proxy}"
