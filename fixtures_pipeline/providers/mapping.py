"""From a provider's JSON to rows of `fixtures`: the words that mappings are written in, and which day owns an event.

The SELECTs here are the only place where answers are taken apart. What the columns of one provider are read from
is in its own module; what becomes of the rows is for `judge` and `store`, which run what is built here. All of it is
constant text: data reaches it only as parameters.
"""

import hashlib
from collections.abc import Mapping, Sequence

from fixtures_pipeline.providers.provider import Provider

#: Statuses of `fixtures.status` under which an event can still change.
OPEN_STATUSES = ("scheduled", "live", "suspended", "unknown")

#: Words for the mappings: macros that every DuckDB session which reads answers creates. Answers may hold anything
#: anywhere, so each word gives NULL for what it cannot read and never fails.
_SQL_WORDS = (
    # Text; NULL for an empty one.
    """filled(t) AS list_filter([t], lambda known: known <> '')[1]""",
    # Text without blanks around it; NULL for nothing, and for a list or an object where a word should stand.
    """trimmed(t) AS list_filter(
        [trim(t, chr(32) || chr(9) || chr(10) || chr(13) || chr(160))],
        lambda known: known <> '' AND NOT (known[1] IN ('{', '[') AND json_valid(known))
    )[1]""",
    # A word as one can compare it: in lower case, without blanks and marks. Providers are careless with both.
    """word(t) AS filled(regexp_replace(lower(trimmed(t)), '[^a-z0-9]+', '', 'g'))""",
    # Whatever somebody wrote, a list or an object too; NULL for nothing, also in the form of an empty one.
    r"""written(t) AS CASE WHEN NOT regexp_full_match(t, '\s*(\[\s*\]|\{\s*\})?\s*') THEN t END""",
    # What a provider says in its own words, marked as such.
    """said(t) AS '“' || rtrim(trimmed(t), '. ') || '”'""",
    # A whole number of at most 64 bits, also 1.0; NULL for text, fractions, booleans and what is larger.
    """whole(j) AS TRY_CAST(regexp_extract(j::VARCHAR, '^(-?[0-9]{1,19})([.]0+)?$', 1) AS BIGINT)""",
    # A score: a small number that is not negative; also 2.0.
    """goals(j) AS TRY_CAST(regexp_extract(j::VARCHAR, '^([0-9]{1,3})([.]0+)?$', 1) AS INTEGER)""",
    # A point in time that every time zone can show: NULL unless some days within the years 1 and 9999.
    """shown(t) AS list_filter([t], lambda known: known
        BETWEEN TIMESTAMPTZ '0001-01-04 00:00:00+00' AND TIMESTAMPTZ '9999-12-28 00:00:00+00')[1]""",
    # Seconds since 1970 as a point in time; also 1741003200.0, and milliseconds, which no football was played in as
    # seconds.
    """moment(j) AS shown(list_transform(
        [TRY_CAST(regexp_extract(j::VARCHAR, '^(-?[0-9]{1,15})([.]0+)?$', 1) AS BIGINT)],
        lambda known: to_timestamp(
            CASE WHEN known BETWEEN -99999999999 AND 99999999999 THEN known ELSE known // 1000 END
        )
    )[1])""",
    # A point in time as ISO 8601 writes it, with its offset from UTC.
    r"""instant(t) AS CASE
        WHEN regexp_full_match(
            t,
            '\s*[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?'
            || '( ?Z| ?z| ?[+-][0-9]{2}(:?[0-9]{2})?)\s*')
        THEN shown(TRY_CAST(regexp_replace(
            regexp_replace(upper(trimmed(t)), ' (Z|[+-].*)$', '\1'), '([+-][0-9]{2})([0-9]{2})$', '\1:\2'
        ) AS TIMESTAMPTZ)) END""",
    # The same for those who leave the offset out and mean UTC.
    r"""utc(t) AS CASE
        WHEN regexp_full_match(
            t,
            '\s*[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?'
            || '(Z|z|[+-][0-9]{2}(:[0-9]{2})?)?\s*')
        THEN shown(TRY_CAST(
            upper(trim(t)) || if(regexp_matches(t, '([Zz]|[+-][0-9]{2}(:[0-9]{2})?)\s*$'), '', 'Z') AS TIMESTAMPTZ
        )) END""",
    # The day that a text begins with.
    r"""day_of(t) AS TRY_CAST(regexp_extract(t, '^\s*([0-9]{4}-[0-9]{2}-[0-9]{2})', 1) AS DATE)""",
)


def define_words(kind: str) -> str:
    """Return the statements that create the words, in place of older ones.

    Args:
        kind: `TEMP MACRO` for those of one session, `MACRO` for those of all that have the database open.
    """
    return ";".join(f"CREATE OR REPLACE {kind} {word}" for word in _SQL_WORDS)


def choose(word: str, meanings: Mapping[str, str], otherwise: str = "NULL") -> str:
    """Return what a word means: each meaning, and between blanks the words that have it.

    It is looked up, as a CASE would repeat the word's own SQL for each meaning, and DuckDB plan all of it for each day.

    >>> choose("word(e.winner)", {"home": "home hometeam"})
    "coalesce(map_extract_value(MAP(['home', 'hometeam'], ['home', 'home']), word(e.winner)), NULL)"
    """
    known = {word: meaning for meaning, words in meanings.items() for word in words.split()}
    return f"coalesce(map_extract_value(MAP({list(known)}, {list(known.values())}), {word}), {otherwise})"


#: A day owns what kicks off on it. An event without a kickoff belongs to the day that the provider names for it, else
#: to the day it is listed under.
_IS_OWN = "coalesce(kickoff >= starts AND kickoff < ends, named_day = date, true)"


def select_listed(provider: Provider, columns: Sequence[str], answers: str) -> str:
    """Return a SELECT of the events that whole answers list, each with `own`: whether its day owns it.

    Args:
        provider: Whose answers they are.
        columns: Columns of the provider's mapping to read, `kickoff` among them; the fewer, the faster.
        answers: What stands after FROM: `date`, `body` (the answer, BLOB), `starts` and `ends` of the day, and
            `fetched_at`, the moment of the answer, if the columns depend on it (TIMESTAMPTZ).

    Returns:
        A SELECT of `date`, `columns`, `own`, `merely_listed`: whether nothing but the list says that its day owns it,
        and `unread`: whether the provider gave a kickoff that cannot be read.
    """
    return _select(provider, columns, answers, _read_list(provider, provider.structure_of(*columns)))


def select_stored(provider: Provider, columns: Sequence[str], days: str) -> str:
    """Return the same SELECT for `fixture_days.data`, the bare list that is kept of an answer, in place of `body`."""
    return _select(provider, columns, days, f"from_json(data, '[{provider.structure_of(*columns)}]')")


def select_elements(provider: Provider, answer: str) -> str:
    """Return a SELECT of `kickoff`, `named_day` and `element` (JSON) of each event that an answer lists.

    Args:
        provider: Whose answer it is.
        answer: What stands after FROM: `body` (BLOB).
    """
    structure, path = provider.structure_of("kickoff"), list_path(provider)
    terms = "".join(f", {sql} AS {name}" for name, sql in provider.terms_of("kickoff").items())
    return f"""
        SELECT {provider.columns["kickoff"]} AS kickoff, {provider.named_day} AS named_day, element
        FROM (
            SELECT e, element{terms}
            FROM (
                SELECT
                    unnest({_read_list(provider, structure)}) AS e,
                    unnest(json_extract(decode(body), '{path}[*]')) AS element
                FROM {answer}
            )
        )
    """


def _read_list(provider: Provider, structure: str) -> str:
    """Return the expression for the events that the column `body` lists, each as a struct."""
    if provider.list_key is None:
        return f"from_json(decode(body), '[{structure}]')"
    return f"""from_json(decode(body), '{{"{provider.list_key}": [{structure}]}}').{provider.list_key}"""


def _select(provider: Provider, columns: Sequence[str], source: str, events: str) -> str:
    given = "date, starts, ends" + (", fetched_at" if provider.judges_by_time(*columns) else "")
    mapped = ", ".join(f"{provider.columns[name]} AS {name}" for name in columns)
    terms = "".join(f", {sql} AS {name}" for name, sql in provider.terms_of(*columns).items())
    return f"""
        SELECT
            date, {", ".join(columns)}, {_IS_OWN} AS own, kickoff IS NULL AND named_day IS NULL AS merely_listed,
            kickoff IS NULL AND written_kickoff IS NOT NULL AS unread
        FROM (
            SELECT
                {given}, {mapped},
                {provider.named_day} AS named_day, written(({provider.written_kickoff})::VARCHAR) AS written_kickoff
            FROM (
                SELECT {given}, e{terms}
                FROM (SELECT {given}, unnest({events}) AS e FROM {source})
            )
        )
    """


def version_of(provider: Provider) -> str:
    """Return a short name for a provider's mapping: another one whenever rows may come out differently."""
    text = " ".join([*_SQL_WORDS, select_stored(provider, sorted(provider.columns), "answers")])
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]


def extract_list(provider: Provider) -> str:
    """Return the expression for what is kept of an answer in the column `body`: its list of events, as it came."""
    return f"json_extract(decode(body), '{list_path(provider)}')"


def list_path(provider: Provider) -> str:
    """Return the JSON path of the list of events in an answer."""
    return "$" if provider.list_key is None else f"$.{provider.list_key}"
