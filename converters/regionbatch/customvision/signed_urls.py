"""Signed URLs are secrets: they give access to an image. They are used once and kept nowhere.

What is left of a URL in results, messages and matching is its address, without the query.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote, urlsplit

from regionbatch.errors import OptionError, RegionBatchError
from regionbatch.files.paths import scheme_of
from regionbatch.files.storage import storage_of
from regionbatch.findings.text import as_text, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePath

    from regionbatch.dataset import Images

SECONDS = 3600
"""How long a URL is valid: longer than a call may wait because of 429."""
_SHORTEST_SECRET = 8
"""Characters of the shortest value in a query that is removed from messages."""
_MOST_ENCODINGS = 8
"""How often a URL in a response may be percent-encoded."""
_LONGEST_REASON = 300
"""Characters of an error of the caller that a message shows."""
_QUERY = re.compile(r"(https?://[^\s?#'\"<>]*)[?#][^\s'\"<>]*", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]+/", re.IGNORECASE)
_WHITESPACE = re.compile(r"\s")
_USER = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")


class SignUrl(Protocol):
    """Returns a URL from which a service can fetch the image at a path for some seconds."""

    def __call__(self, path: str, seconds: int, /) -> str:
        """Return the URL."""


class NotSignedError(ValueError):
    """No URL could be made for an image. The reason contains no signature."""


def signer_of(by_url: object, images: Images, *, shrink: bool) -> SignUrl | None:
    """Return the function that signs the URLs of images; None: image files are uploaded.

    Args:
        by_url: The argument of `upload`.
        images: The images of the dataset.
        shrink: Whether images are to be re-encoded.

    Raises:
        OptionError: The images cannot be uploaded by URL.
    """
    if type(by_url).__name__ not in ("bool", "bool_") and not callable(by_url):
        raise OptionError(
            f"by_url: neither True nor False nor a function: {quoted(as_text(by_url))}. "
            "Use `by_url=True` or leave it out.",
            option="by_url",
            value=by_url,
        )
    if not by_url:
        return None
    if shrink:
        raise OptionError(
            "by_url: the images are not read on this machine, so they cannot be re-encoded. "
            "Use only one of `by_url` and `shrink`.",
            option="by_url",
        )
    if callable(by_url):
        return by_url
    local = next((path for path in images.paths if path and not scheme_of(path)), "")
    if local:
        raise OptionError(
            f"by_url: the image is on this machine, where Custom Vision cannot fetch it: "
            f"{quoted(as_text(local))}. Read the dataset from cloud storage, choose an image "
            "folder there with `image_dir` (such as az://CONTAINER/FOLDER), or upload without "
            "`by_url`.",
            option="by_url",
            value=local,
        )
    return _signed_by_storage


def raise_if_remote(paths: Iterable[str], root: PurePath) -> None:
    """Raise if an image is not on this machine, so that its bytes cannot be uploaded.

    Args:
        paths: The paths of the images to upload.
        root: The folder of the dataset.

    Raises:
        OptionError: There is such an image.
    """
    remote = next(filter(scheme_of, paths), None)
    if remote is not None:
        image = without_queries(remote)
        raise OptionError(
            f"{root}: an image to upload is not on this machine: {quoted(as_text(image))}. "
            "Use `by_url=True`, so that Custom Vision fetches the images, or download them.",
            place=str(root),
            option="by_url",
            value=image,
        )


def _signed_by_storage(path: str, seconds: int) -> str:
    url = storage_of(path).signed_url(path, seconds)
    path_in_container = path.partition("://")[2].partition("/")[2]
    # If a file system does not escape a character, the URL may be that of another image.
    if not unquote(urlsplit(url).path).endswith(f"/{path_in_container}"):
        raise NotSignedError("the storage returned the URL of another file")
    return url


def signed_url(sign: SignUrl, path: str) -> str:
    """Return a URL for a path.

    Raises:
        NotSignedError: There is no URL.
        RegionBatchError: The storage says why.
    """
    try:
        url = sign(path, SECONDS)
    except (RegionBatchError, NotSignedError):
        raise
    except Exception as error:  # noqa: BLE001 - of a function of the caller
        reason = without_queries(" ".join(repr(error).split()))
        raise NotSignedError(reason[:_LONGEST_REASON]) from None
    if not (isinstance(url, str) and _WEB_ADDRESS.match(url)):
        raise NotSignedError("not an http or https URL")
    if not url.isprintable() or _WHITESPACE.search(url):
        raise NotSignedError("a character in the URL is not encoded: use urllib.parse.quote")
    return url


def check_signer(sign: SignUrl, path: str) -> None:
    """Sign a URL, to find out before the first write whether that is possible.

    Raises:
        RegionBatchError: It is not possible.
    """
    try:
        signed_url(sign, path)
    except NotSignedError as error:
        place = quoted(as_text(without_queries(path)))
        advice = "Correct the function."
        if sign is _signed_by_storage:
            advice = "Check the access to the storage, or pass a function as `by_url`."
        raise OptionError(
            f"by_url: no URL could be made for {place}: {quoted(as_text(str(error)))}. {advice}",
            option="by_url",
            value=str(error),
        ) from None


def address_of(url: str) -> str:
    """Return the part of a URL, signed or not, that identifies an image, as readable text.

    It contains no query, however often the URL is percent-encoded. So names that differ only after
    a `?` have the same address.

    >>> address_of('"HTTPS://me:key@Example.com/a%20b.jpg?sig=abc"')
    'https://example.com/a b.jpg'
    """
    plain = _unquoted(url.strip().strip('"'))
    address = re.split(r"[?#]", plain, maxsplit=1)[0]
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}"


def _unquoted(url: str) -> str:
    for _ in range(_MOST_ENCODINGS):
        plain = unquote(url)
        if plain == url:
            return plain
        url = plain
    return ""


def without_queries(text: str) -> str:
    """Return a text without the users, queries and fragments of the URLs in it.

    >>> without_queries("cannot open 'https://me:key@host/a.jpg?sig=abc': 403")
    "cannot open 'https://host/a.jpg': 403"
    """
    return _USER.sub("", _QUERY.sub(r"\1", text))


def secrets_of(urls: Iterable[str]) -> list[str]:
    """Return the texts that must not be in a message about some URLs, longest first.

    These are the values in their queries, however they are encoded.
    """
    secrets: set[str] = set()
    for url in urls:
        query = url.partition("?")[2]
        for part in (query, *re.split(r"[&#]", query)):
            value = part.partition("=")[2]
            plain = unquote(value)
            # An encoding changes some characters; the text between them stays the same.
            secrets.update(
                (part, value, plain, quote(plain, safe=""), *re.split(r"[^\w.-]", plain))
            )
    return sorted(
        (text for text in secrets if len(text) >= _SHORTEST_SECRET), key=len, reverse=True
    )


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text with `***` in place of secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
