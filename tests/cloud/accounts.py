"""A cloud with several accounts, each with its own containers, in the memory of this process."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class AccountFileSystem(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """The files of one account. The storage options are `account` and, unused, `key`."""

    protocol: ClassVar[str] = "accounts"
    stores: ClassVar[dict[str, dict[str, Any]]] = {}
    folders: ClassVar[dict[str, list[str]]] = {}
    cachable = False

    def __init__(self, account: str = "", key: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.endpoint_url = account and f"https://{account}.example.com"
        self.store = self.stores.setdefault(account, {})
        self.pseudo_dirs = self.folders.setdefault(account, [""])

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        plain: str = super()._strip_protocol(path.removeprefix(f"{cls.protocol}://"))
        return plain

    def sign(self, path: str, expiration: int = 100, **_options: Any) -> str:
        """Return a URL that names the account."""
        return f"{self.endpoint_url}{quote(path)}?sig={expiration}"


fsspec.register_implementation("accounts", AccountFileSystem, clobber=True)
