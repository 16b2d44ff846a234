"""What the pipeline puts up with from a server: every time, size and count in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pipeline puts up with; times in seconds.

    Attributes:
        connect: For a connection to be made.
        read: Between two pieces of an answer.
        deadline: For one request as a whole, redirects and body included.
        tries: Requests for one day at most.
        pause: Before the second try; doubled for each further one.
        retry_after: Longest `Retry-After` that is waited for.
        size: Bytes of one answer, unpacked.
        redirects: Redirects followed for one request.
        refusals: Refused days in a row after which the run stops asking.
    """

    connect: float = 10
    read: float = 20
    deadline: float = 60
    tries: int = 4
    pause: float = 0.5
    retry_after: float = 60
    size: int = 64 * 1024 * 1024
    redirects: int = 3
    refusals: int = 3


#: Those of every run; tests have less patience.
LIMITS = Limits()
