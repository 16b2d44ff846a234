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
        minute: Waited for when a provider says in words that there were too many requests within a minute.
        size: Bytes of one answer, unpacked: ten usual days, or two of the fullest.
        batch: Bytes of the answers that are stored at once, if it is more than one: to store them takes several times
            that.
        waiting: Bytes of answers that wait to be stored or are being stored; beyond it nothing more is asked for.
        redirects: Redirects followed for one request.
        refusals: Refused days in a row after which the run stops asking.
    """

    connect: float = 10
    read: float = 20
    deadline: float = 60
    tries: int = 4
    pause: float = 0.5
    retry_after: float = 60
    minute: float = 60
    size: int = 8 * 1024 * 1024
    batch: int = 24 * 1024 * 1024
    waiting: int = 48 * 1024 * 1024
    redirects: int = 3
    refusals: int = 3


#: Those of every run; tests have less patience.
LIMITS = Limits()
