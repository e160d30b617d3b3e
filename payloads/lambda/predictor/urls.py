"""The rules for URLs that the function may download from, and the addresses that they allow."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from classifier.contract import ApiError

from predictor.deadline import Deadline

DEFAULT_PORTS = {"http": 80, "https": 443}
URL_LENGTH = 8192  # presigned addresses are long
TARGET_SAFE = "/%:@!$&'()*+,;=~-._?[]"  # unchanged in a path or query; everything else is percent-encoded

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
SIX_TO_FOUR = ipaddress.ip_network("2002::/16")  # contains any IPv4 address, private ones too

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Policy:
    """The exceptions to the rule of public https addresses on the usual ports."""

    allow_http: bool = False
    allow_networks: tuple[Network, ...] = ()

    def excepts(self, address: Address) -> bool:
        return any(address in network for network in self.allow_networks)


@dataclass(frozen=True)
class Place:
    """A checked URL in the parts that a request needs."""

    scheme: str
    host: str  # a name, an IPv4 address, or an IPv6 address without brackets
    port: int
    target: str  # path and query

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str, policy: Policy) -> Place:
    """Raises ApiError 422 `url_not_allowed` if the URL itself is not allowed."""
    if len(url) > URL_LENGTH:
        raise _refused(f"The URL is longer than {URL_LENGTH:,} characters.")
    if re.search(r"[\x00-\x20\x7f\\]", url):  # urlsplit drops or reinterprets these
        raise _refused("The URL contains spaces, backslashes or control characters.")
    try:
        parts = urlsplit(url)
        scheme, port = parts.scheme, parts.port
        host = _host(parts.hostname)
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=TARGET_SAFE)
    except ValueError:  # including UnicodeError, if the host is not a domain name
        raise _refused("The URL is not well formed.") from None
    schemes = ("https", "http") if policy.allow_http else ("https",)
    if scheme not in schemes:
        raise _refused(f"The scheme is not allowed. Use {' or '.join(schemes)}.")
    if "@" in parts.netloc:
        raise _refused("The URL has a user name or password. Remove it.")
    return Place(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, target)


def follow(url: str, location: str) -> str:
    """The target of a redirect, not yet parsed. Raises ApiError 422."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise _refused("The URL redirects to a URL that is not well formed.") from None


def _host(hostname: str | None) -> str:
    """The host in ASCII. Raises ValueError if it is not a host."""
    if not hostname:
        raise ValueError("no host")
    if ":" in hostname:
        address = ipaddress.IPv6Address(hostname)
        if address.scope_id is not None:
            raise ValueError("a zone of this machine")
        return str(address)
    host = hostname.encode("idna").decode("ascii")
    if not re.fullmatch(r"[a-z0-9._-]+", host):
        raise ValueError(host)
    return host


def resolve(place: Place, policy: Policy, deadline: Deadline) -> list[Address]:
    """All addresses of the host, each checked against the policy together with the port.

    One forbidden address refuses them all, because a name with a public and a private address is suspicious. The
    resolver also accepts `2130706433`, `0x7f.1` and `127.1` as addresses. The same checks apply to them.
    """
    try:
        found = deadline.run(socket.getaddrinfo, place.host, place.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise ApiError("url_timeout", f"{place.host} was too slow.") from None
    except (OSError, UnicodeError):
        raise ApiError("url_unreachable", f"The name {place.host} does not exist.") from None
    addresses = list(dict.fromkeys(_unwrapped(str(entry[4][0])) for entry in found))
    for address in addresses:
        if policy.excepts(address):
            continue
        if not is_public(address):
            raise _refused(f"{place.host} does not have a public address.")
        if place.port not in DEFAULT_PORTS.values():
            raise _refused(f"Port {place.port} is not allowed. Use 80 or 443.")
    return addresses


def is_public(address: Address) -> bool:
    """Whether an address is public: not private, local or multicast, and without an embedded IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    return address.is_global and address in GLOBAL_UNICAST and address not in SIX_TO_FOUR


def _unwrapped(text: str) -> Address:
    """Treat `::ffff:10.0.0.1` as 10.0.0.1, for the checks and the connection."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _refused(message: str) -> ApiError:
    return ApiError("url_not_allowed", message)
