"""Requests to a service: what is tried again, and how its refusals become errors of ours."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from api.client.address import DEFAULT_URL
from api.client.proxies import proxy_for, shown
from ruleforge.errors import InputError, ServiceError, SpecificationError
from ruleforge.passwords import hide_passwords

PREFIX = "/api/v1"
PROBLEM = "application/problem+json"
# Seconds between two tries: the first, then doubled, up to the second.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# Without a sign of life for so long, several heartbeats, a stream is taken for dead.
SILENCE_SECONDS = 60.0


class Pauses:
    """Longer and longer pauses, until the time is over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._next = FIRST_PAUSE

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    def wait(self, *, at_least: float = 0.0, at_most: float = LONGEST_PAUSE) -> bool:
        """Pause; False, at once, if the time is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(max(self._next, at_least), at_most, left))
        self._next = min(2 * self._next, LONGEST_PAUSE)
        return True


class Connection:
    """A service at an address.

    What may be repeated without harm is repeated for `timeout` seconds when the connection breaks, or when the service
    says that it is out of reach for the moment; a service that was never reached is given up at once.
    """

    def __init__(self, url: str, timeout: float) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(
                f"expected the address of a service, such as {DEFAULT_URL}, and {hide_passwords(url)!r} came"
            )
        address = url.rstrip("/")
        self.url = hide_passwords(address)  # as it is shown
        self.timeout = timeout
        self._reached = False
        try:
            target = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise InputError(f"{self.url!r} is no address: {hide_passwords(str(error))}") from None
        self._proxy = proxy_for(target)
        try:
            # Nothing else of the environment is heeded, so that a service of this machine is reached without a proxy.
            self._http = httpx.Client(base_url=address + PREFIX, timeout=timeout, proxy=self._proxy, trust_env=False)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise InputError(
                f"the proxy {shown(self._proxy)}, which the environment names for {self.url}, cannot be used "
                f"({hide_passwords(str(error))}): set it right, or set NO_PROXY={target.host}"
            ) from None

    def close(self) -> None:
        """Close what is open."""
        self._http.close()

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The answer of a request that is answered in JSON."""
        return self._decoded(self.request(method, path, **options))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        """The answer of a request that succeeded. Raises what the service refused, and ServiceError if it is away."""
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        pauses = Pauses(self.timeout)
        while True:
            try:
                response = self._http.request(method, path, params=parameters, json=body, headers=dict(headers or {}))
            except httpx.TransportError as error:
                # Nothing was sent where no connection was made.
                again = self._reached and (repeatable or isinstance(error, httpx.ConnectError))
                if again and pauses.wait():
                    continue
                raise self.away(error) from None
            self._reached = True
            if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and repeatable:
                asked = response.headers.get("retry-after", "")
                if asked.isdigit() and pauses.wait(at_least=float(asked), at_most=self.timeout):
                    continue
            self.check(response)
            return response

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], silence: float) -> Iterator[httpx.Response]:
        """An answer that comes piece by piece, whatever it is: `check` it.

        A connection that breaks, or says nothing for `silence` seconds, raises httpx.TransportError.
        """
        timeout = httpx.Timeout(self.timeout, read=silence)
        with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as response:
            if response.status_code >= 400:
                response.read()
            yield response

    def away(self, error: httpx.TransportError) -> ServiceError:
        """A sentence for a connection that cannot be made, or broke and stays broken."""
        if self._proxy is not None and isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
            return ServiceError(
                f"the proxy {shown(self._proxy)}, which the environment names for {self.url}, does not lead there "
                f"({error}): check the proxy, or set NO_PROXY={httpx.URL(self.url).host}"
            )
        if isinstance(error, httpx.ConnectError):
            return ServiceError(
                f"no service answers at {self.url} ({error}): start one with `ruleforge serve`, or check the address"
            )
        if isinstance(error, httpx.TimeoutException):
            return ServiceError(f"{self.url} did not answer within {self.timeout:g} s: try again, or allow more time")
        return ServiceError(f"the connection to {self.url} broke ({str(error) or type(error).__name__}): try again")

    def check(self, response: httpx.Response) -> None:
        """Raise what an answer that is no success says: InputError if it refuses, ServiceError if it is at fault."""
        status = response.status_code
        if status < 400:
            return
        kind = response.headers.get("content-type", "").partition(";")[0]
        if kind != PROBLEM:
            raise self._foreign(response)
        problem = response.json()
        if status >= 500:
            request = response.headers.get("x-request-id")
            raise ServiceError(f"{self.url}: {problem['detail']}{f' (request {request})' if request else ''}")
        errors = [(item["pointer"], item["message"]) for item in problem.get("errors", [])]
        if len(errors) == 1:
            raise _single(errors[0], problem["detail"])
        raise SpecificationError(errors) if errors else InputError(problem["detail"])

    def _decoded(self, response: httpx.Response) -> Any:
        if response.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise self._foreign(response)
        return response.json()

    def _foreign(self, response: httpx.Response) -> ServiceError:
        kind = response.headers.get("content-type", "nothing")
        through = "" if self._proxy is None else f" through the proxy {shown(self._proxy)}"
        asked = hide_passwords(str(response.request.url))
        return ServiceError(
            f"expected an answer of ruleforge from {asked}, and status {response.status_code} with "
            f"{kind} came{through}: is this the address of `ruleforge serve`?"
        )


def _single(error: tuple[str, str], detail: str) -> InputError:
    """One refused field. The detail of a rule's text has a line with a caret, which says more than the message."""
    pointer, message = error
    if not pointer or message in detail:
        return InputError(detail, pointer=pointer)
    return SpecificationError([error])
