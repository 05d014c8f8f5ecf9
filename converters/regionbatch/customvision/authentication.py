"""Check the endpoint, and authenticate with a key or a token."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.policies import AzureKeyCredentialPolicy, BearerTokenCredentialPolicy

from regionbatch.credentials import is_key
from regionbatch.errors import OptionError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpRequest, HttpResponse

    AuthenticationPolicy: TypeAlias = (
        AzureKeyCredentialPolicy[HttpRequest, HttpResponse]
        | BearerTokenCredentialPolicy[HttpRequest, HttpResponse]
    )

SCOPE = "https://cognitiveservices.azure.com/.default"
_PORTALS = ("customvision.ai", "portal.azure.com", "portal.azure.us", "portal.azure.cn")
"""Hosts of web portals, whose addresses are easily mistaken for endpoints."""
_REGIONS = (
    ".api.cognitive.microsoft.com",
    ".api.cognitive.microsoft.us",
    ".api.cognitive.azure.cn",
)
"""Suffixes of the host names of endpoints that all resources of a region share."""
_RESOURCES = (
    *_REGIONS,
    ".cognitiveservices.azure.com",
    ".cognitiveservices.azure.us",
    ".cognitiveservices.azure.cn",
)
"""Suffixes of the host names of endpoints in Azure, which have no path before that of the API."""
_WHERE = (
    "the page Keys and Endpoint of the training resource. "
    "It looks like https://NAME.cognitiveservices.azure.com/"
)
_API_PATH = re.compile(r"/customvision(?:/|$)", re.IGNORECASE)


def normalise_endpoint(endpoint: str) -> str:
    """Return an endpoint without the path of the API and without a trailing slash.

    Raises:
        OptionError: The endpoint is not a URL, is that of a portal, or would send the key
            unencrypted over http.

    >>> normalise_endpoint("HTTPS://Name.CognitiveServices.Azure.com/CustomVision/v3.3/Training/")
    'https://name.cognitiveservices.azure.com'
    """
    text = endpoint.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        raise _not_an_address(text) from None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise _not_an_address(text)
    if host.endswith(tuple(f".{portal}" for portal in _PORTALS)) or host in _PORTALS:
        raise OptionError(
            f"endpoint: the address of a web page, not an endpoint: '{host}'. "
            f"Copy the training endpoint from {_WHERE}.",
            option="endpoint",
            value=host,
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise OptionError(
            f"endpoint: http would send the key unencrypted: '{host}'. Use https.",
            option="endpoint",
            value=host,
        )
    address = f"[{host}]" if ":" in host else host
    if port:
        address += f":{port}"
    is_resource = host.endswith(_RESOURCES)
    prefix = "" if is_resource else _API_PATH.split(parts.path, maxsplit=1)[0].rstrip("/")
    return f"{parts.scheme}://{address}{prefix}"


def _not_an_address(text: str) -> OptionError:
    shown = text.rpartition("@")[2][:80]  # without a user name and password
    return OptionError(
        f"endpoint: not an address: '{shown}'. Copy it from {_WHERE}.",
        option="endpoint",
        value=shown,
    )


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def authentication_policy(
    key: str, credential: TokenCredential | None, endpoint: str
) -> AuthenticationPolicy:
    """Return the policy that adds the key or the token to each request.

    Raises:
        OptionError: Neither a key nor a credential was given, or both, or one that is invalid.
    """
    if key and credential is not None:
        raise OptionError(
            "key: both a key and a credential were given. Use only one of them.", option="key"
        )
    if credential is not None:
        if not endpoint.startswith("https:"):
            raise OptionError(
                f"endpoint: a token is only sent over https: '{endpoint}'. Use https, or a key.",
                option="endpoint",
                value=endpoint,
            )
        if endpoint.endswith(_REGIONS):
            raise OptionError(
                f"endpoint: a token needs the endpoint of the resource, not of its region: "
                f"'{endpoint}'. Use https://NAME.cognitiveservices.azure.com/, or a key.",
                option="endpoint",
                value=endpoint,
            )
        return BearerTokenCredentialPolicy(credential, SCOPE)
    if not key:
        raise OptionError(
            "key: neither a key nor a credential was given. Give one of them.", option="key"
        )
    if not is_key(key):
        # The key itself is never shown.
        raise OptionError(
            "key: contains characters that no training key has. Copy it again.", option="key"
        )
    return AzureKeyCredentialPolicy(AzureKeyCredential(key), "Training-Key")
