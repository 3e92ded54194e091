"""Work for a child process: it owns a place, and tells again and again whether it still does."""

import time

from components.core.checkpoint.lease import acquire_lease
from components.core.errors import StoreError


def holding(uri, expiry_s):
    def work(tell):
        lease = acquire_lease(uri, expiry_s)
        while True:
            try:
                lease.check()
                tell(f"held {lease.confirm()}")
            except StoreError as error:
                tell(str(error))
            time.sleep(0.2)

    return work
