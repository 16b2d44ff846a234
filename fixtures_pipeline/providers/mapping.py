"""From a provider's JSON to rows of `fixtures`: the words that mappings are written in, and which day owns an event.

The two SELECTs here are the only place where answers are taken apart. What the columns of one provider are read from
is in its own module; what becomes of the rows is for `judge` and `store`, which run what is built here. All of it is
constant text: data reaches it only as parameters.
"""

from collections.abc import Sequence

from fixtures_pipeline.providers.provider import Provider

#: Statuses of `fixtures.status` under which an event can still change.
OPEN_STATUSES = ("scheduled", "live", "suspended", "unknown")

#: Words for the mappings: macros that every DuckDB session which reads answers creates. Answers may hold anything
#: anywhere, so each word gives NULL for what it cannot read and never fails.
SQL_WORDS = (
    # Text without blanks around it; NULL for nothing, and for a list or an object where a word should stand.
    """trimmed(t) AS CASE
        WHEN (t LIKE '{%' OR t LIKE '[%') AND json_valid(t) THEN NULL
        ELSE nullif(trim(t, chr(32) || chr(9) || chr(10) || chr(13) || chr(160)), '') END""",
    # A whole number of at most 64 bits; NULL for text, fractions, booleans and what is larger.
    """whole(j) AS CASE
        WHEN regexp_full_match(j::VARCHAR, '-?[0-9]{1,19}') THEN TRY_CAST(j::VARCHAR AS BIGINT) END""",
    # A score: a small number that is not negative.
    """goals(j) AS CASE
        WHEN regexp_full_match(j::VARCHAR, '[0-9]{1,3}') THEN j::VARCHAR::INTEGER END""",
    # Seconds since 1970 as a point in time; NULL outside the years 1 to 9999.
    """moment(j) AS CASE
        WHEN whole(j) BETWEEN -62135596800 AND 253402300799 THEN to_timestamp(whole(j)) END""",
    # A point in time in UTC as ISO 8601 writes it.
    """instant(t) AS CASE
        WHEN regexp_full_match(t, '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z')
        THEN TRY_CAST(t AS TIMESTAMPTZ) END""",
)

#: A day owns what kicks off on it, and an event without a kickoff that is listed under it.
_IS_OWN = "coalesce(kickoff >= starts AND kickoff < ends, true)"


def select_listed(provider: Provider, columns: Sequence[str], answers: str, carried: Sequence[str] = ()) -> str:
    """Return a SELECT of the events that whole answers list, each with `own`: whether its day owns it.

    Args:
        provider: Whose answers they are.
        columns: Columns of the provider's mapping to read, `kickoff` among them; the fewer, the faster.
        answers: What stands after FROM: `body` (the answer, BLOB), `starts` and `ends` (TIMESTAMPTZ, of the day).
        carried: Further columns of `answers` that each event gets.
    """
    key = provider.list_key
    events = f"""from_json(decode(body), '{{"{key}": [{provider.structure_of(*columns)}]}}').{key}"""
    return _select(provider, columns, answers, carried, events)


def select_stored(provider: Provider, columns: Sequence[str], days: str, carried: Sequence[str] = ()) -> str:
    """Return the same SELECT for `fixture_days.data`, the bare list that is kept of an answer, in place of `body`."""
    return _select(provider, columns, days, carried, f"from_json(data, '[{provider.structure_of(*columns)}]')")


def _select(provider: Provider, columns: Sequence[str], source: str, carried: Sequence[str], events: str) -> str:
    mapped = ", ".join(f"{provider.columns[name]} AS {name}" for name in columns)
    kept = "".join(f"{name}, " for name in carried)
    return f"""
        SELECT {kept}{", ".join(columns)}, {_IS_OWN} AS own
        FROM (
            SELECT {kept}starts, ends, {mapped}
            FROM (SELECT {kept}starts, ends, unnest({events}) AS e FROM {source})
        )
    """


def extract_list(provider: Provider) -> str:
    """Return the expression for what is kept of an answer in the column `body`: its list of events, as it came."""
    return f"json_extract(decode(body), '$.{provider.list_key}')"
