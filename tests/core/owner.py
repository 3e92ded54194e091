"""Work for a child process: it owns a place, and tells again and again whether it still does."""

import time

from components.core.errors import StoreError
from components.core.checkpoint.lease import take_lease


def holding(uri, expiry_s):
    def work(tell):
        lease = take_lease(uri, expiry_s)
        while True:
            try:
                lease.check()
                tell(f"held {lease.confirm()}")
            except StoreError as error:
                tell(str(error))
            time.sleep(0.2)

    return work
