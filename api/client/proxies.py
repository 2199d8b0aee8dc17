"""Which proxy the environment names for a service, if any; this machine's own services are reached without one."""

from __future__ import annotations

import ipaddress
import re
from urllib.request import getproxies, proxy_bypass

import httpx


def on_this_machine(host: str) -> bool:
    """Whether a host is the machine itself, which no proxy elsewhere could reach."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def proxy_for(address: httpx.URL) -> str | None:
    """The proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY for an address, unless NO_PROXY has its host."""
    if on_this_machine(address.host) or proxy_bypass(address.host):
        return None
    named = getproxies()
    proxy = named.get(address.scheme) or named.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def shown(proxy: str | None) -> str:
    """A proxy as messages name it: without a password."""
    return re.sub(r"//[^/]*@", "//", proxy or "")
