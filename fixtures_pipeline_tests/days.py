"""Days that many tests are about, and outcomes for them."""

from datetime import date

from fixtures_pipeline.errors import ErrorType
from fixtures_pipeline.outcome import DayFailed

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)


def failure(day: date = MONDAY, error_type: ErrorType = ErrorType.API_ERROR, message: str = "It broke.") -> DayFailed:
    """Return the outcome of a day whose server broke, and answered with JSON."""
    return DayFailed(day, error_type, message, http_status=500, body=b'{"error": 1}')
