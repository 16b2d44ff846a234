"""The days of the sample API: of the real shape, and the same everywhere."""

import hashlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fixtures_pipeline.sample_days import day_body
from fixtures_pipeline_tests import stores

NOW = datetime(2026, 6, 1, 15, tzinfo=UTC)
DAY = date(2025, 3, 8)
YEAR = [date(2025, 1, 1) + timedelta(days=n) for n in range(0, 365, 7)]


def events(day: date, now: datetime = NOW) -> list[dict[str, Any]]:
    return stores.events(day_body(day, now))


def hours(event: dict[str, Any], day: date) -> float:
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return float(event["startTimestamp"] - begins) / 3600


@pytest.mark.parametrize(
    ("day", "now", "digest"),
    [
        (DAY, NOW, "550c0ad2ebf30a7f"),
        (NOW.date(), NOW, "dcbee6405fcbb356"),
        (date(2025, 12, 25), datetime(2025, 12, 1, tzinfo=UTC), "8e6b8c69cd96ce02"),
    ],
)
def test_a_day_is_the_same_wherever_and_whenever_it_is_made_up(day: date, now: datetime, digest: str) -> None:
    assert hashlib.sha256(day_body(day, now)).hexdigest()[:16] == digest


def find_competition(event: dict[str, Any]) -> tuple[str, int, str]:
    """Return the country, the id and the name of an event's competition, as they are read."""
    tournament = event["tournament"]
    chosen = tournament.get("uniqueTournament", tournament)
    return tournament["category"]["name"], chosen["id"], chosen["name"].strip()


def test_a_competition_has_twenty_clubs_of_its_own_and_a_name_of_its_own() -> None:
    clubs: dict[tuple[str, int, str], set[int]] = {}
    names: dict[int, set[str]] = {}
    for event in [event for day in YEAR[::2] for event in events(day)]:
        for side in (event["homeTeam"], event["awayTeam"]):
            clubs.setdefault(find_competition(event), set()).add(side["id"])
            names.setdefault(side["id"], set()).add(" ".join(side["name"].split()))
    assert {len(ids) for ids in clubs.values()} == {20}
    assert len({(country, name) for country, _, name in clubs}) == len({number for _, number, _ in clubs}) == 36
    assert len(names) == 36 * 20
    assert len(set.union(*names.values())) == len(names), "each is called by one name, and nobody else is"


#: Days between what is listed and when: both a match moved to a day and one that will move away from it may be listed.
AHEAD = (10, 7, 4, 0, -1)


def test_a_club_plays_at_most_once_a_day() -> None:
    for n in range(0, 365, 4):
        day = YEAR[0] + timedelta(days=n)
        now = datetime(day.year, day.month, day.day, 15, tzinfo=UTC) - timedelta(days=AHEAD[n % len(AHEAD)])
        played = Counter(
            (event["startTimestamp"] // 86400, event[side]["id"])
            for event in events(day, now)
            for side in ("homeTeam", "awayTeam")
        )
        assert max(played.values()) == 1, (day, now)


def test_in_a_quarter_everybody_has_met_everybody_at_home_and_away_but_for_few() -> None:
    quarter = [DAY + timedelta(days=n) for n in range(0, 89, 2)]
    listed = {event["id"]: event for day in quarter for event in events(day)}
    met = Counter((event["homeTeam"]["id"], event["awayTeam"]["id"]) for event in listed.values())
    assert 0.95 < len(met) / (36 * 20 * 19) <= 1
    assert met.total() - len(met) < 0.05 * len(met)
    played = Counter(club for pair in met.elements() for club in pair)
    assert max(played.values()) - min(played.values()) <= 5


def test_a_day_lists_its_neighbours_within_the_real_window() -> None:
    for day in YEAR[::4]:
        offsets = [hours(event, day) for event in events(day)]
        assert all(-14 <= offset < 36 for offset in offsets)
        own = sum(0 <= offset < 24 for offset in offsets)
        assert 0.1 < own / len(offsets) < 0.9
        assert offsets != sorted(offsets)


def test_a_day_has_thirty_to_eight_hundred_events() -> None:
    counts = [len(events(day)) for day in [*YEAR, date(2025, 12, 25), date(2025, 10, 18)]]
    assert 30 <= min(counts) < 100
    assert 400 < max(counts) <= 800


def test_an_event_is_the_same_in_every_answer_that_lists_it() -> None:
    both = {event["id"]: event for event in events(DAY)}
    shared = [event for event in events(DAY + timedelta(days=1)) if event["id"] in both]
    assert len(shared) > 20
    assert all(event == both[event["id"]] for event in shared)


def test_an_id_appears_once_in_an_answer() -> None:
    for day in YEAR[::4]:
        assert max(Counter(event["id"] for event in events(day)).values()) == 1


def test_the_traps_of_real_answers_are_there() -> None:
    listed = [event for day in YEAR for event in events(day)]
    kinds = {(event["status"]["type"], event["status"]["code"]) for event in listed}
    assert {
        ("finished", 100),
        ("finished", 110),
        ("finished", 120),
        ("finished", 91),
        ("postponed", 60),
        ("canceled", 70),
        ("canceled", 90),
        ("suspended", 81),
    } <= kinds
    assert any("roundInfo" not in event for event in listed)
    assert any(
        "uniqueTournament" not in event["tournament"] and event["tournament"]["name"].startswith(" ")
        for event in listed
    )
    assert any("shortName" not in event["homeTeam"] for event in listed)
    assert any(event["homeTeam"]["country"] == {} for event in listed)
    assert any(event["season"]["year"].endswith(" ") for event in listed)
    assert any(not event["homeTeam"]["name"].isascii() for event in listed)
    assert any("  " in event["homeTeam"]["name"] for event in listed)
    shoot_outs = [event for event in listed if event["status"]["code"] == 120]
    assert all(event["homeScore"]["penalties"] != event["awayScore"]["penalties"] for event in shoot_outs)
    assert any(event["homeScore"]["display"] < 0 for event in shoot_outs)
    assert {event["tournament"]["name"] for event in shoot_outs} == {"Cup"}


def test_events_follow_the_clock() -> None:
    today = NOW.date()
    words = {event["status"]["type"] for event in events(today) if event["startTimestamp"] > NOW.timestamp()}
    assert words <= {"notstarted", "postponed"}
    running = [event for event in events(today) if 0 <= NOW.timestamp() - event["startTimestamp"] < 3600]
    assert running
    assert all(event["status"]["type"] == "inprogress" for event in running)
    later = NOW + timedelta(days=1)
    final = {event["id"]: event for event in events(today, later + timedelta(days=5))}
    ended = [event for event in events(today, later) if event["startTimestamp"] < NOW.timestamp()]
    assert all(final[event["id"]] == event for event in ended)


def test_some_events_move_to_another_day_and_keep_their_id() -> None:
    planned = {event["id"]: event for event in events(DAY, datetime(2025, 2, 1, tzinfo=UTC))}
    moved = [event for event in events(DAY + timedelta(days=3)) if event["id"] in planned]
    assert moved
    for event in moved:
        assert event["startTimestamp"] == planned[event["id"]]["startTimestamp"] + 3 * 86400
        assert event["id"] not in {other["id"] for other in events(DAY)}


def test_an_event_is_about_as_large_as_a_real_one() -> None:
    assert 2000 < len(day_body(DAY, NOW)) / len(events(DAY)) < 3500
