"""An upload in a process of its own, which a test or a long run kills."""

from __future__ import annotations

import json
import sys
import time

import regionbatch
from regionbatch.customvision.rate_limiter import RateLimiter

LOOKUP_DELAY = 0.5
"""Seconds after which a call to this machine has ended, even if it is busy."""


def main(folder: str, endpoint: str, key: str, project: str, journal: str) -> None:
    """Upload; print a line at the start and one at the end."""
    dataset = regionbatch.read(folder)
    upload = regionbatch.upload  # imported before the moments that are tested
    with regionbatch.TrainingClient(endpoint, key) as client:
        print("start", flush=True)
        start = time.monotonic()
        limiter = RateLimiter(200, lookup_delay=LOOKUP_DELAY)
        result = upload(
            dataset,
            client,
            project,
            create_tags=True,
            journal=journal,
            rate_limiter=limiter,
            prune=True,
            prune_limit="all",
        )
    summary = {
        "sent": result.sent,
        "deleted": result.deleted,
        "seconds": time.monotonic() - start,
        "verification": str(result.verification),
    }
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
