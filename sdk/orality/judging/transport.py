"""What a judge's server may do to us: every reply is bounded in bytes, time and form."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

MOST_BYTES = 4 << 20  # of a reply; a grade has a few hundred


def bounded_client(
    url: str,
    *,
    timeout: float,
    longest: float | None = None,
    most_bytes: int = MOST_BYTES,
    **options: Any,
) -> httpx2.Client:
    """An HTTP client for a judge's server at `url`: it asks no other host, whatever the server
    says, follows no redirects, takes no compression, and its replies end.

    A reply is read up to `most_bytes`, and for at most `longest` seconds (None: `timeout`) from the
    request to its last byte, so that a server which sends a byte now and then is given up as well.
    Both end in httpx2's own errors (ReadTimeout, ReadError). `options` are the client's.
    """
    import httpx2

    seconds, home = longest or timeout, httpx2.URL(url).host

    class Bounded(httpx2.BaseTransport):
        def __init__(self, inner: httpx2.BaseTransport) -> None:
            self._inner = inner

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.host != home:
                raise httpx2.UnsupportedProtocol(
                    f"the server sends to the other host {request.url.host}"
                )
            request.headers["Accept-Encoding"] = "identity"
            end = time.monotonic() + seconds
            response = _within(self._inner, request, timeout)
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                response.close()
                raise httpx2.ReadError("the reply is compressed, which was not asked for")
            return httpx2.Response(
                response.status_code,
                headers=response.headers,
                stream=_Stream(response, end),
                extensions=response.extensions,
            )

        def close(self) -> None:
            self._inner.close()

    class _Stream(httpx2.SyncByteStream):
        def __init__(self, response: httpx2.Response, end: float) -> None:
            self._response, self._end = response, end

        def __iter__(self) -> Iterator[bytes]:
            count = 0
            for chunk in self._response.stream:  # type: ignore[union-attr]
                count += len(chunk)
                if count > most_bytes:
                    raise httpx2.ReadError(f"the reply has over {most_bytes} bytes")
                if time.monotonic() > self._end:
                    raise httpx2.ReadTimeout(f"the reply did not end within {seconds:g} s")
                yield chunk

        def close(self) -> None:
            self._response.close()

    trust = options.pop("trust_env", True)
    proxies = {} if not trust else _proxies(httpx2)
    limits = httpx2.Limits(max_connections=256)
    plain = httpx2.HTTPTransport(trust_env=trust, limits=limits)
    return httpx2.Client(
        transport=Bounded(plain),
        mounts={
            pattern: Bounded(httpx2.HTTPTransport(proxy=proxy, limits=limits)) if proxy else None
            for pattern, proxy in proxies.items()
        },
        timeout=timeout,
        trust_env=False,  # proxies are mounted above, bounded as well
        follow_redirects=False,
        **options,
    )


def _within(transport: httpx2.BaseTransport, request: httpx2.Request, seconds: float) -> Any:
    """The response once its headers are there; ReadTimeout when they do not end in time."""
    import httpx2

    found: list[Any] = []

    def work() -> None:
        try:
            found.append(transport.handle_request(request))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work, name="judge-reply", daemon=True)
    thread.start()
    thread.join(seconds + 5.0)  # connecting and reading have time-outs of their own
    if not found:
        raise httpx2.ReadTimeout(f"the reply's headers did not end within {seconds:g} s")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _proxies(httpx2: Any) -> dict[str, str | None]:
    from urllib.request import getproxies

    found: dict[str, str | None] = {}
    for scheme, address in getproxies().items():
        if scheme in ("http", "https", "all") and address:
            found["all://" if scheme == "all" else f"{scheme}://"] = (
                address if "://" in address else f"http://{address}"
            )
        if scheme == "no":
            for host in filter(None, (part.strip().lstrip(".") for part in address.split(","))):
                found[f"all://{host}"] = None
                found[f"all://*.{host}"] = None
    return found
