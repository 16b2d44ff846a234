"""Days cut out of whole seasons, for a provider that has no request for a day.

A season is asked for once per run, however many of its days are loaded. What a provider says about its seasons is in
its module; how a request is sent and what its answer is worth, in `fetching` and `attempts`.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.judge import Judge
from fixtures_pipeline.outcome import DayFailed, Outcome
from fixtures_pipeline.providers.provider import Provider, Request, Seasons

#: Bytes of an answer that is not as it should be up to which every day that it was for keeps it.
_LARGEST_KEPT = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Season:
    """A season as it came: its events by day, as JSON, and how long it took; or the failure of all its days."""

    name: str
    league: str
    events: Mapping[date, Sequence[str]]
    answer: Outcome


class Almanac:
    """Has the seasons of one run; can be called from many threads at once."""

    def __init__(
        self,
        provider: Provider,
        seasons: Seasons,
        zone: ZoneInfo,
        *,
        judge: Judge,
        ask: Callable[[date, Request], Outcome],
        warn: Callable[[str], None],
    ) -> None:
        """Prepare to ask; nothing is sent before `cut`.

        Args:
            provider: Whose seasons they are.
            seasons: Which, and how they are asked for.
            zone: Time zone in which days begin and end.
            judge: Judges what is cut out.
            ask: Sends a request for a day and judges the answer, retries included.
            warn: Takes a sentence about a league that has nothing; called from any thread.
        """
        self._provider = provider
        self._seasons = seasons
        self._zone = zone
        self._judge = judge
        self._ask = ask
        self._warn = warn
        self._lock = threading.Lock()
        self._found: dict[tuple[str, int], Future[_Season]] = {}
        self._warned: set[str] = set()

    def cut(self, day: date) -> Outcome:
        """Return what becomes of a day: it is as good as all the seasons that it can belong to."""
        found: list[_Season] = []
        for league in self._seasons.leagues:
            for year in self._seasons.years(day):
                season = self._find(day, league, year)
                if isinstance(season.answer, DayFailed):
                    return replace(season.answer, day=day)
                found.append(season)
        empty = self._name_empty(found)
        if len(empty) == len(self._seasons.leagues):
            return self._refuse_empty(day, found)
        for names in empty:
            self._warn_once(f"{self._provider.title} has nothing for {names}. {_CHECK}")
        return self._compose(day, found)

    def _find(self, day: date, league: str, year: int) -> _Season:
        """Return a season: asked for by the first thread that wants it, waited for by the others."""
        with self._lock:
            future = self._found.get((league, year))
            is_mine = future is None
            if future is None:
                future = self._found[league, year] = Future()
        if is_mine:
            try:
                future.set_result(self._fetch(day, league, year))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def _fetch(self, day: date, league: str, year: int) -> _Season:
        request = self._seasons.request(league, year)
        answer = self._ask(day, request)
        name, events = request.part or request.path, defaultdict[date, list[str]](list)
        if isinstance(answer, DayFailed):
            if len(answer.body or b"") > _LARGEST_KEPT:
                answer = replace(answer, body=None)
            return _Season(name, league, events, answer)
        for element in self._judge.list_elements(answer.body):
            kickoff = element.kickoff
            own = element.named_day if kickoff is None else kickoff.astimezone(self._zone).date()
            # Without a day of its own it would be listed by every day.
            if own is not None:
                events[own].append(element.text)
        # What is needed of it is in the events.
        return _Season(name, league, events, replace(answer, body=b""))

    def _name_empty(self, found: Sequence[_Season]) -> list[str]:
        """Return the seasons, by league, of the leagues that have none with an event in it."""
        leagues: dict[str, list[_Season]] = {}
        for season in found:
            leagues.setdefault(season.league, []).append(season)
        return [
            " and ".join(season.name for season in seasons)
            for seasons in leagues.values()
            if not any(season.answer.events for season in seasons)
        ]

    def _refuse_empty(self, day: date, found: Sequence[_Season]) -> DayFailed:
        names = ", ".join(season.name for season in found)
        message = f"{self._provider.title} has nothing for {names}. {_CHECK}"
        elapsed = sum(season.answer.elapsed_ms for season in found)
        return DayFailed(day, ErrorType.DEFAULT_DATA_ERROR, message, 200, b"[]", elapsed_ms=elapsed)

    def _warn_once(self, sentence: str) -> None:
        with self._lock:
            is_new = sentence not in self._warned
            self._warned.add(sentence)
        if is_new:
            self._warn(sentence)

    def _compose(self, day: date, found: Sequence[_Season]) -> Outcome:
        """Judge the day's own part of the seasons, as old as the oldest of them."""
        body = self._provider.compose([event for season in found for event in season.events.get(day, ())])
        fetched_at = min(filter(None, (season.answer.fetched_at for season in found)), default=None)
        outcome = self._judge.judge(day, body, fetched_at=fetched_at).outcome
        elapsed = sum(season.answer.elapsed_ms for season in found)
        return replace(outcome, size=len(body), elapsed_ms=elapsed, fetched_at=fetched_at)


_CHECK = (
    "There is no such league, or this season of it has not begun: check FIXTURES_LEAGUES, or load the day again later."
)
