"""What operators look at: the status page, /metrics, /healthz and /readyz.

Rules of this package:
- It looks and never acts: there is no request that changes anything, and none needs to be authenticated.
- It is in nobody's way: it is imported where it is on, works beside the loop where the work is long, and whatever fails
  here is told of and touches no rotation.
- Nothing secret comes here: it is shown what `status` prints, and the ledger.
"""
