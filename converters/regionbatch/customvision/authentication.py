"""Check the endpoint, and authenticate with a key or a token."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.policies import AzureKeyCredentialPolicy, BearerTokenCredentialPolicy

from regionbatch.errors import OptionError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpRequest, HttpResponse

    AuthenticationPolicy: TypeAlias = (
        AzureKeyCredentialPolicy[HttpRequest, HttpResponse]
        | BearerTokenCredentialPolicy[HttpRequest, HttpResponse]
    )

SCOPE = "https://cognitiveservices.azure.com/.default"


def normalise_endpoint(endpoint: str) -> str:
    """Return an endpoint without the path of the API and without a trailing slash.

    Raises:
        OptionError: The endpoint is not an address, or http would send the key unencrypted.
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
    if parts.scheme == "http" and not is_loopback(host):
        raise OptionError(
            f"endpoint: http would send the key unencrypted: '{host}'. Use https.",
            option="endpoint",
            value=host,
        )
    address = f"[{host}]" if ":" in host else host
    if port:
        address += f":{port}"
    prefix = re.split(r"/customvision(?:/|$)", parts.path, maxsplit=1)[0].rstrip("/")
    return f"{parts.scheme}://{address}{prefix}"


def _not_an_address(text: str) -> OptionError:
    shown = text.rpartition("@")[2][:80]  # without a user name and password
    return OptionError(
        f"endpoint: not an address: '{shown}'. "
        "Copy it from the resource, e.g. https://NAME.cognitiveservices.azure.com/.",
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
        return BearerTokenCredentialPolicy(credential, SCOPE)
    if not key:
        raise OptionError(
            "key: neither a key nor a credential was given. Give one of them.", option="key"
        )
    if not (key.isascii() and key.isprintable() and " " not in key):
        # The key itself is never shown.
        raise OptionError(
            "key: contains characters that no training key has. Copy it again.", option="key"
        )
    return AzureKeyCredentialPolicy(AzureKeyCredential(key), "Training-Key")
