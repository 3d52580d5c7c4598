"""The hosts that NO_PROXY exempts from the proxy.

It has no standard. The rules are those that curl (libcurl's CURLOPT_NOPROXY) and Go
(golang.org/x/net/http/httpproxy) share: names with what is below them, addresses, networks
(``10.0.0.0/8``), and ``*``. A port (``host:443``, ``[::1]:443``) and ``*.name`` are as in Go. Where
they differ it is as in curl: a name with a leading dot is exempt itself, too, spaces separate like
commas, and localhost is exempt only if it is named.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_ENTRY = re.compile(r"(\[(?P<bracketed>[^\]]*)\]|(?P<host>[^:]*))(:(?P<port>\d+))?")


def is_exempt(url: str, no_proxy: str) -> bool:
    """Whether ``no_proxy`` has the host of ``url``. What can't be read of it exempts nothing."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _PORTS.get(parts.scheme)
    entries = re.split(r"[,\s]+", no_proxy.lower())
    return any(entry == "*" or _fits(entry, host, port) for entry in entries if entry)


def _fits(entry: str, host: str, port: int | None) -> bool:
    address = _address(host)
    if "/" in entry:
        return address is not None and _is_within(address, entry)
    if _address(entry) is None and (match := _ENTRY.fullmatch(entry)):
        if match["port"] and int(match["port"]) != port:
            return False
        entry = match["bracketed"] or match["host"] or ""
    if address is not None:
        return address == _address(entry)
    name = entry.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_within(address: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        return address in ip_network(network.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
